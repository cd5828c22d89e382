"""What the host uses, through every layer, is told and never offered."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from hostdev.gate.check import verdict_of
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Use
from hostdev.inventory.scan import scan
from tests.vmhost.inside import drivers, layers
from tests.vmhost.inside.prepare import run
from tests.vmhost.inside.scenario import expect, scenario
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

NVME, SATA = BY_ID["nvme1"].address, PciAddress.parse("00:1f.2")
NEAR, FAR = BY_ID["twin0"].address, BY_ID["twin1"].address
COMMAND = "passgate node bind"
"""The beginning of every command that takes a device from its driver."""
Tried = tuple[PciAddress, str]


@scenario
def disks_are_used_through_every_layer(bench: Bench) -> None:
    """File systems, swap, MD, LVM, device mapper, loop and open files on spare disks, one after the other."""
    first, second = layers.namespaces(NVME)
    sata = layers.disk(SATA)
    with layers.formatted(first):
        _free(bench, (NVME, "ext4 that is not mounted"))
        with layers.mounted(first):
            _used(bench, (NVME, "ext4, mounted"), "mounted at /mnt", _kind_of_mount())
            run("fallocate", "--length", "16M", f"{layers.MOUNT}/swap")
            with layers.swap(f"{layers.MOUNT}/swap"):
                _used(bench, (NVME, "a swap file"), "mounted at /mnt", _kind_of_swap())
        with layers.mounted_elsewhere(first):
            words = "mounted in another mount namespace"
            _used(bench, (NVME, "ext4, mounted elsewhere"), words, "it is not in the mounts of process 1")
    with layers.wiped(second), layers.swap(f"/dev/{second}"):
        _used(bench, (NVME, "swap"), "swap", _kind_of_swap())
    with layers.formatted(first, sata, kind="btrfs"), layers.mounted(first):
        _used(bench, (SATA, "the second disk of a btrfs"), "mounted at /mnt", _kind_of_mount())
    with layers.raid(first, sata) as mirror, layers.volume(mirror):
        said = " ".join(Path("/proc/mdstat").read_text().splitlines()[1].split()[2:4])
        _used(bench, (NVME, "LVM on MD, one half"), "held by spare-data", said)
        _used(bench, (SATA, "LVM on MD, the other half"), "held by spare-data", said)
    # dm-multipath takes no disk that NVMe's own multipath made.
    for address, table in ((SATA, layers.multipath(sata)), (NVME, layers.crypt(first))):
        with layers.mapped("spare", table):
            target = _said("dmsetup", "table", "spare").split()[2]
            _used(bench, (address, f"device mapper: {target}"), "held by spare", target)
    with layers.loop(first):
        _used(bench, (NVME, "a loop device"), "held by loop0", "losetup: loop0")
    with layers.opened(first):
        _used(bench, (NVME, "a process has it open"), "open in python3", "an exclusive open would succeed")
    _free(bench, (NVME, "nothing any more"))
    _free(bench, (SATA, "nothing any more"))


@scenario
def members_of_what_is_not_active_are_unknown(bench: Bench) -> None:
    """A physical volume, a member of a ZFS pool by its label, and a disk that udev has no record of."""
    first, _ = layers.namespaces(NVME)
    for made, kind, words in (
        (layers.inactive, "LVM2_member", "is a physical volume of LVM"),
        (layers.zfs_label, "zfs_member", "is a member of a ZFS pool"),
    ):
        with made(first):
            said = _said("blkid", "-p", "-o", "value", "-s", "TYPE", f"/dev/{first}")
            expect(said == kind, f"blkid says {said}, not {kind}")
            _unknown(bench, (NVME, kind), words, f"blkid: {said}")
    number = Path(f"/sys/class/block/{first}/dev").read_text().strip()
    record = Path(f"/run/udev/data/b{number}")
    kept = record.read_bytes()
    record.unlink()
    try:
        _unknown(bench, (NVME, "no record"), "udev has no record of it", "nothing")
    finally:
        record.write_bytes(kept)


@scenario
def interfaces_are_used_or_unknown(bench: Bench) -> None:
    """Up, with an address, in another network namespace, with XDP, and a disk over iSCSI."""
    vf = BY_ID["igb1"].vf(2)
    _free(bench, (NEAR, "down"))
    with layers.up(NEAR) as name:
        _unknown(bench, (NEAR, "up"), "is up", "up")
        with layers.xdp(name):
            said = _said("ip", "-o", "link", "show", "dev", name)
            expect("xdpgeneric" in said, said)
            _unknown(bench, (NEAR, "XDP"), "is up", "ip link: xdpgeneric")
    with drivers.driven(vf, "igbvf"), layers.elsewhere(vf):
        _unknown(bench, (vf, "a VF in another network namespace"), "in another network namespace", "net/ is empty")
    with ExitStack() as stack:
        stack.enter_context(layers.elsewhere(FAR, "192.0.2.2/24"))
        _unknown(bench, (FAR, "an address in a namespace only"), "in another network namespace", "net/ is empty")
        stack.enter_context(layers.up(NEAR, "192.0.2.1/24"))
        disk = stack.enter_context(layers.iscsi("192.0.2.2"))
        said = Path(f"/sys/block/{disk}/device/vendor").read_text().strip()
        _used(bench, (NEAR, "iSCSI over it"), "disks over iSCSI", f"the disk of {said}")


def _used(bench: Bench, tried: Tried, words: str, said: str) -> None:
    _check(bench, tried, Use.USED, words, said)


def _unknown(bench: Bench, tried: Tried, words: str, said: str) -> None:
    _check(bench, tried, Use.UNKNOWN, words, said)


def _free(bench: Bench, tried: Tried) -> None:
    _check(bench, tried, Use.UNUSED, "", "nothing holds it")


def _check(bench: Bench, tried: Tried, wanted: Use, words: str, said: str) -> None:
    """What Passgate makes of it, and whether it offers a command: only where it is proved that nothing uses it."""
    address, what = tried
    with Host("/") as host:
        machine = scan(host)
    use = machine.functions[address].use
    signs = [sign.what for sign in (*use.used, *use.unknown)]
    expect(use.value is wanted, f"{what}: {address} is {use.value}, not {wanted}: {signs}")
    expect(not words or any(words in sign for sign in signs), f"{what}: {address}: {words} is not in {signs}")
    hints = [finding.hint for finding in verdict_of(machine, address).findings]
    offered = any(COMMAND in hint and str(address) in hint for hint in hints)
    # The chipset's controller shares its group with the SMBus: nothing is won by binding it alone.
    expected = wanted is Use.UNUSED and address != SATA
    expect(offered == expected, f"{what}: {address} is {use.value}, and a command is printed: {offered}")
    bench.record(f"{address}: {what}", f"{wanted}: {words}" if words else str(wanted), said)


def _kind_of_mount() -> str:
    return f"findmnt: {_said('findmnt', '-no', 'FSTYPE', layers.MOUNT)}"


def _kind_of_swap() -> str:
    return f"swapon: {_said('swapon', '--noheadings', '--show=TYPE')}"


def _said(*command: str) -> str:
    return run(*command).strip()
