"""What only the running kernel tells, asked of the one that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import HostUse, Sign, Use
from hostdev.inventory.probe import Probe
from hostdev.inventory.scan import scan
from hostdev.inventory.signatures import identify, partition_types
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder
from tests.house import ROOT

NAMESPACE = """
set -e
ip link add near type veth peer name far
ip link set near up
ip link set far up
ip address add 192.0.2.1/32 dev near
ip address add 2001:db8::5/64 dev near
ip route add 198.51.100.0/24 dev near table 100
ip route add 203.0.113.0/24 nexthop dev near nexthop dev far
ip route add default dev far table 1000
exec "$0" -c '
from hostdev.inventory import netlink
for name in ("near", "far"):
    print(name, *netlink.addresses_of(name), "|", *(one + "," for one in netlink.routes_of(name)))
print(netlink.vf_settings("near"))
try:
    netlink.set_vf_mac("near", 0, "02:00:00:00:00:01")
except OSError as error:
    print(error.strerror)
'
"""
LEARNED = """\
near 192.0.2.1/32 2001:db8::5/64 | 198.51.100.0/24 in table 100, 203.0.113.0/24 in table 254, \
2001:db8::/64 in table 254,
far | default in table 1000, 203.0.113.0/24 in table 254,
{}
Operation not supported
"""


def _can_unshare() -> bool:
    command = ["unshare", "--net", "ip", "link", "add", "near", "type", "veth", "peer", "name", "far"]
    if not all(map(shutil.which, ("unshare", "ip"))):
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not _can_unshare(), reason="no network namespace of one's own with a pair of interfaces")
def test_addresses_and_routes_of_all_tables_are_told_by_interface() -> None:
    command = ["unshare", "--net", "sh", "-c", NAMESPACE, sys.executable]
    paths = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'xml'}"}

    done = subprocess.run(command, check=False, capture_output=True, text=True, env=paths)

    assert done.stdout == LEARNED, done.stderr


def test_what_cannot_be_asked_is_told_in_words() -> None:
    probe = Probe()

    assert probe.claim("passgate-none", "8:0") == (None, "No such file or directory")
    assert probe.claim("null", "8:0") == (None, "it is the node of 1:3, not of 8:0")
    assert probe.label("null", "1:3") is None
    signs, refused = probe.network("passgate-none")
    # An ordinary user, or one in a container, may not even ask in which network namespace process 1 is.
    assert (signs, bool(refused)) == ((), True)


DISK, NIC = "0000:65:00.0", "0000:66:00.0"


class _Told(Probe):
    """What a kernel might answer."""

    def __init__(self, claim: tuple[Sign | None, str], kind: str | None, network: tuple[str, ...], why: str) -> None:
        self._claim, self._kind, self._network, self._why = claim, kind, network, why

    def claim(self, name: str, number: str) -> tuple[Sign | None, str]:
        assert name.startswith("nvme0n1"), number
        return self._claim

    def label(self, name: str, number: str) -> tuple[str, dict[int, str]] | None:
        assert name.startswith("nvme0n1"), number
        return None if self._kind is None else (self._kind, {1: "6a898cc3-1dd2-11b2-99a6-080020736631"})

    def network(self, interface: str) -> tuple[tuple[Sign, ...], str]:
        assert interface == "eth0"
        return tuple(Sign(one) for one in self._network), self._why


def _uses(root: Path, probe: Probe) -> dict[str, HostUse]:
    machine = Builder()
    disk = machine.function(machine.root("pci0000:64"), DISK, "144d:a80a", 0x010802, driver="nvme")
    machine.disk(f"{disk.path}/nvme/nvme0", "nvme0n1", parts=("nvme0n1p1",))
    nic = machine.function(machine.root("pci0000:64"), NIC, "8086:1572", 0x020000, driver="i40e")
    machine.netdev(nic, "eth0", up=False)
    layout.write(machine.recording(""), root / "host")
    (root / "host/sys/class/block/nvme0n1p1/partition").write_text("1\n")
    shutil.rmtree(root / "host/run/udev", ignore_errors=True)
    with Host(root / "host", probe=probe) as host:
        functions = scan(host).functions
        return {address: functions[PciAddress.parse(address)].use for address in (DISK, NIC)}


def _whats(signs: tuple[Sign, ...]) -> str:
    return " | ".join(sign.what for sign in signs)


FREE: tuple[Sign | None, str] = (None, "")


def test_an_exclusive_open_finds_what_no_file_tells(tmp_path: Path) -> None:
    busy = Sign("the kernel has it open exclusively", "/dev/nvme0n1", "EBUSY")

    use = _uses(tmp_path, _Told((busy, ""), "", (), ""))[DISK]

    assert (use.value, _whats(use.used)) == (Use.USED, "nvme0n1 (the kernel has it open exclusively)")


def test_a_disk_that_cannot_be_opened_is_unknown(tmp_path: Path) -> None:
    use = _uses(tmp_path, _Told((None, "Input/output error"), "", (), ""))[DISK]

    assert use.value is Use.UNKNOWN
    assert "nvme0n1 cannot be opened to see whether it is in use: Input/output error" in _whats(use.unknown)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("LVM2_member", "nvme0n1 is a physical volume of LVM"),
        ("", "nvme0n1p1 is a partition for ZFS"),
        ("ntfs", "nvme0n1 holds ntfs, which may be mounted"),
        (None, "what nvme0n1 holds is not to be seen: udev has no record of it"),
    ],
)
def test_the_disk_itself_tells_what_udev_does_not(tmp_path: Path, kind: str | None, words: str) -> None:
    use = _uses(tmp_path, _Told(FREE, kind, (), ""))[DISK]

    assert (use.value, words in _whats(use.unknown)) == (Use.UNKNOWN, True), use


def test_addresses_and_routes_of_an_interface_that_is_down_are_uses(tmp_path: Path) -> None:
    use = _uses(tmp_path, _Told(FREE, "", ("has the address 192.0.2.1/32", "the route 10.0.0.0/8 in table 7"), ""))[NIC]

    assert use.value is Use.USED
    assert _whats(use.used) == "eth0 (has the address 192.0.2.1/32) | eth0 (the route 10.0.0.0/8 in table 7)"


def test_an_interface_of_which_netlink_does_not_tell_is_unknown(tmp_path: Path) -> None:
    use = _uses(tmp_path, _Told(FREE, "", (), "in another network namespace"))[NIC]

    assert (use.value, "are not to be seen: in another network" in _whats(use.unknown)) == (Use.UNKNOWN, True)
    assert _uses(tmp_path / "again", _Told(FREE, "", (), ""))[NIC].value is Use.UNUSED


MARKED: Mapping[str, Mapping[int, bytes]] = {
    "LVM2_member": {512: b"LABELONE", 536: b"LVM2 001"},
    "linux_raid_member": {4096: bytes.fromhex("fc4e2ba9")},
    "zfs_member": {20000: b"\0\0\0\tpool_guid"},
    "btrfs": {65600: b"_BHRfS_M"},
    "ext4": {1080: b"\x53\xef"},
    "xfs": {0: b"XFSB"},
    "swap": {4086: b"SWAPSPACE2"},
    "isw_raid_member": {(1 << 20) - 1024: b"Intel Raid ISM Cfg Sig. 1.3"},
    "": {512: b"LABELONE"},
}


def _read(content: Mapping[int, bytes], size: int = 1 << 20) -> bytes:
    disk = bytearray(size)
    for offset, data in content.items():
        disk[offset : offset + len(data)] = data
    return bytes(disk)


@pytest.mark.parametrize("kind", MARKED)
def test_a_mark_tells_what_lies_there(kind: str) -> None:
    disk = _read(MARKED[kind])

    assert identify(lambda offset, count: disk[offset : offset + count], len(disk)) == kind


def test_md_at_the_end_is_found_where_mdadm_puts_it() -> None:
    size = (1 << 20) + 3 * 512
    disk = _read({(size - 8192) // 4096 * 4096: bytes.fromhex("fc4e2ba9")}, size)

    assert identify(lambda offset, count: disk[offset : offset + count], size) == "linux_raid_member"


@pytest.mark.skipif(not shutil.which("sfdisk"), reason="no sfdisk")
def test_the_types_in_a_gpt_are_those_that_sfdisk_wrote(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(16 << 20)
    types = {2: "e6d6d379-f507-44c2-a23c-238f2a3df928", 5: "6a898cc3-1dd2-11b2-99a6-080020736631"}
    table = "label: gpt\n" + "".join(f"{disk}{number} : size=1MiB, type={guid}\n" for number, guid in types.items())
    subprocess.run(["sfdisk", "--quiet", disk], input=table, text=True, check=True)
    content = disk.read_bytes()

    assert partition_types(lambda offset, count: content[offset : offset + count]) == types


@pytest.mark.skipif(not all(map(shutil.which, ("blkid", "mkfs.ext4", "mkswap"))), reason="no mkfs")
@pytest.mark.parametrize("make", [("mkfs.ext4", "-q"), ("mkswap",)])
def test_blkid_says_the_same_of_what_tools_made(tmp_path: Path, make: tuple[str, ...]) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run([*make, disk], check=True, capture_output=True)
    content = disk.read_bytes()
    said = subprocess.run(
        ["blkid", "-p", "-o", "value", "-s", "TYPE", disk], capture_output=True, text=True, check=False
    )

    assert identify(lambda offset, count: content[offset : offset + count], len(content)) == said.stdout.strip()
