"""Recorded machines: what is written, laid out and scanned again is what was seen."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domxml.errors import BadInput, HostUnreadable, PassgateError
from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, NetDevice, Use
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.layout import MAX_SIZE, open_host
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.recorded.recording import Entry, File, Link, Names, Recording, Unreadable
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.layout import lay_out
from tests.hostdev.machines import MACHINES, recorded
from tests.hostdev.machines.builder import Builder
from tests.hostdev.machines.fixtures import NAMES, fixture, picture

HEAD = "format = 1\n"
HOST_SECRETS = {
    "proc/cmdline": "root=UUID=0f1e2d3c-aaaa-bbbb-cccc-0123456789ab iommu=pt vfio-pci.ids=8086:154c token=s3cr3t quiet",
    "proc/sys/kernel/random/boot_id": "deadbeef-1111-2222-3333-444455556666",
    "proc/net/route": "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    "enx3cecef123456\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\n"
    "enx3cecef123456\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF",
    "proc/net/ipv6_route": "2a010db800000000000000000000beef 40 " + "0" * 32 + " 00 fe80" + "0" * 24 + "cafe"
    " 00000400 00000001 00000000 00000001 enx3cecef123456",
    "proc/self/mountinfo": "30 1 253:0 / /data/3600508b1001c1e2f3a4b5c6d7e8f9a0b rw - ext4 /dev/mapper/x rw\n"
    "31 1 0:50 / /mnt rw - cifs //nas/home rw,password=hunter2\n"
    "32 1 0:51 / / rw - cifs //nas/root rw,password=hunter2",
}
SECRETS = (
    "0f1e2d3c",
    "s3cr3t",
    "deadbeef",
    "0102A8C0",
    "0002A8C0",
    "2a010db8",
    "cafe",
    "3cecef",
    "3c:ec:ef",
    "3600508b",
    "hunter2",
    "nas",
)


def again(text: str, directory: Path) -> Machine:
    file = directory / "machine.toml"
    file.write_text(text, encoding="utf-8")
    with open_host(file) as host:
        return scan(host)


def same(machine: Machine) -> Machine:
    return replace(machine, source="")


@pytest.mark.parametrize("name", MACHINES)
def test_the_committed_machines_are_what_their_description_makes(name: str) -> None:
    assert fixture(name).read_text() == recorded(name), "run `python -m tests.hostdev.build_machines`"


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_of_a_recording_is_the_same_text(name: str) -> None:
    with open_host(fixture(name)) as host:
        data = tomllib.loads(fixture(name).read_text())
        assert snapshot(host, machine=data["machine"], note=data["note"]) == fixture(name).read_text()


@pytest.mark.parametrize("name", MACHINES)
def test_a_recording_shows_what_the_machine_shows(name: str, tmp_path: Path) -> None:
    layout.write(MACHINES[name](), tmp_path / "host")
    with Host(tmp_path / "host") as host:
        machine = scan(host)
        text = snapshot(host, private=True)

        assert same(again(text, tmp_path)) == same(machine)
        with open_host(tmp_path / "machine.toml") as replayed:
            for address in machine.functions:
                assert same(scan(replayed, only=[address])) == same(scan(host, only=[address]))


def test_the_machine_the_tests_run_on_can_be_recorded(tmp_path: Path) -> None:
    with Host("/") as host:
        machine = scan(host)
        text = snapshot(host, private=True)

    seen = again(text, tmp_path)
    assert seen.functions == machine.functions
    assert seen.groups == machine.groups
    assert seen.vfio == machine.vfio


def test_what_could_not_be_read_is_recorded_as_such(tmp_path: Path) -> None:
    lay_out(fixture("group-zero").read_text(), tmp_path / "host")
    file = tmp_path / "host/sys/kernel/iommu_groups/0/type"
    file.unlink()
    os.mkfifo(file)
    with Host(tmp_path / "host") as host:
        machine = scan(host)
        text = snapshot(host)

    assert machine.unread == (("/sys/kernel/iommu_groups/0/type", "not a regular file"),)
    assert same(again(text, tmp_path)) == same(machine)
    assert 'type = { unreadable = "not a regular file" }' in text


def _secretive(root: Path) -> Host:
    layout.write(MACHINES["group-zero"](), root)
    nic = root / "sys/devices/pci0000:00/0000:00:02.0"
    (nic / "uevent").write_text("DRIVER=e1000e\nPCI_CLASS=20000\nPCI_ID=8086:15BB\n")
    shutil.rmtree(nic / "vfio-dev")
    (nic / "net/enx3cecef123456").mkdir(parents=True)
    (nic / "net/enx3cecef123456/address").write_text("3c:ec:ef:12:34:56\n")
    (root / "sys/class/net").mkdir()
    (root / "sys/class/net/enx3cecef123456").symlink_to("../../devices/pci0000:00/0000:00:02.0/net/enx3cecef123456")
    for path, content in HOST_SECRETS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{content}\n")
    (root / "proc/1/mountinfo").unlink()
    (nic / "block/sda").mkdir(parents=True)
    (nic / "block/sda/dev").write_text("253:0\n")
    (root / "sys/class/block").mkdir(exist_ok=True)
    (root / "sys/class/block/sda").symlink_to("../../devices/pci0000:00/0000:00:02.0/block/sda")
    return Host(root)


def test_what_tells_a_host_from_others_is_replaced(tmp_path: Path) -> None:
    with _secretive(tmp_path / "host") as host:
        machine = scan(host)
        text = snapshot(host)
        private = snapshot(host, private=True)

    assert [secret for secret in SECRETS if secret in text] == []
    assert [secret for secret in SECRETS if secret not in private] == []
    seen = again(text, tmp_path)
    address = PciAddress.parse("0000:00:02.0")
    assert seen.functions[address].netdevs == (
        NetDevice("enx020000000001", mac="02:00:00:00:00:01", uses=machine.functions[address].netdevs[0].uses),
    )
    assert machine.functions[address].netdevs[0].uses == ("default route",)
    assert seen.kernel.cmdline == "root=_ iommu=pt vfio-pci.ids=8086:154c token=_ quiet"
    assert seen.functions[address].blocks[0].uses == ("mounted at /data/wwid1",)


def _lived_in(machine: Builder) -> None:
    """A spare disk and a graphics card; what tells of their use also tells of the host's owner."""
    root = machine.root("pci0000:00")
    sata = machine.function(root, "0000:00:17.0", "8086:a182", 0x010601, driver="ahci")
    for name in ("sda", "sdb", "sdc"):
        machine.disk(f"{sata.path}/ata1/host0/block", name)
    machine.mount("sda", "/")
    machine.label("sdb", "ext4", "E:ID_FS_LABEL=payroll", "E:ID_SERIAL=S3Z8NB0K", "S:disk/by-id/ata-S3Z8NB0K")
    machine.label("sdc", "zfs_member", "E:ID_FS_LABEL=tank")
    machine.mount_line("0:41", "/tank", "zfs tank/payroll rw")
    machine.disk("sys/devices/virtual/block", "loop0")
    machine.file("sys/devices/virtual/block/loop0/loop/backing_file", "/media/alice/payroll.img")
    gpu = machine.function(root, "0000:01:00.0", "10de:1eb8", 0x030200, driver="nvidia")
    machine.file(f"proc/driver/nvidia/gpus/{gpu.address}/information", "Video BIOS: 90.04", "Device Minor: 0")
    machine.opened(77, "python3", "char/195:0")
    nic = machine.function(root, "0000:02:00.0", "8086:15bb", 0x020000, driver="e1000e")
    machine.netdev(nic, "eth0", up=False)
    machine.file(f"{nic.path}/net/eth0/ifindex", "2")
    machine.file("proc/net/if_inet6", "20010db8feedfeedfeedfeedfeedfeed 02 40 00 80 eth0")
    machine.file("proc/net/packet", "sk RefCnt Type Proto Iface R Rmem User Inode", "ff8800 3 3 0003 2 1 0 1000 4711")


@pytest.mark.parametrize("private", [True, False])
def test_what_tells_of_use_is_kept_without_what_tells_of_its_owner(tmp_path: Path, *, private: bool) -> None:
    machine = Builder()
    _lived_in(machine)
    layout.write(machine.recording(""), tmp_path / "host")
    with Host(tmp_path / "host") as host:
        whole, text = scan(host), snapshot(host, private=private)

    secrets = ("payroll", "S3Z8NB0K", "alice", "90.04", "feedfeed", "4711", "ff8800")
    assert private or [secret for secret in secrets if secret in text] == []
    uses = {address: function.use for address, function in again(text, tmp_path).functions.items()}
    assert {address: [sign.what for sign in use.used] for address, use in uses.items()} == {
        address: [sign.what for sign in function.use.used] for address, function in whole.functions.items()
    }
    assert [use.value for use in uses.values()] == [Use.USED, Use.USED, Use.USED]


def test_mediated_devices_keep_their_names() -> None:
    assert "a1b2c3d4-0001-4000-8000-0000000000a1" in picture("tesla-t4").mdevs


NAME = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in {".", ".."}
)
CONTENT = st.binary(max_size=30) | st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace") + b"\n")
ENTRY: st.SearchStrategy[Entry] = (
    st.builds(File, CONTENT)
    | st.builds(Link, st.sampled_from(["x", "../x/y", "a b", "..", "\u00e4"]))
    | st.builds(Names, st.lists(NAME, max_size=40, unique=True).map(tuple))
    | st.builds(Unreadable, st.text(max_size=10))
)
ENTRIES = st.dictionaries(st.builds("sys/{}/{}".format, NAME, NAME) | NAME.map("proc/{}".format), ENTRY, max_size=8)


@given(ENTRIES, st.text(max_size=5), st.text(max_size=5))
def test_any_recording_survives_its_toml(entries: dict[str, Entry], machine: str, note: str) -> None:
    recording = Recording(machine, note, entries)
    try:
        layout.check(recording)
    except BadInput:
        return

    assert toml.parse(toml.write(recording)) == recording


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(ENTRIES)
def test_any_recording_stays_in_its_directory(entries: Mapping[str, Entry]) -> None:
    with TemporaryDirectory() as place:
        outside = Path(place) / "outside"
        outside.write_text("as it was")
        root = Path(place) / "host"
        try:
            layout.write(Recording(entries=entries), root)
        except (PassgateError, OSError):
            pass
        else:
            for path, entry in entries.items():
                if isinstance(entry, File):
                    assert (root / path).read_bytes() == entry.content
                if isinstance(entry, Link):
                    assert str((root / path).readlink()) == str(Path(entry.target))
        assert sorted(path.name for path in Path(place).iterdir()) in (["host", "outside"], ["outside"])
        assert outside.read_text() == "as it was"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "not a recorded machine"),
        ("format = 2\n", "not a recorded machine"),
        ("format = 1\nmachine = 3\n", "machine is no text"),
        ("this is no toml", "not TOML"),
        ("x = " + "[" * 5000, "not TOML"),
        (HEAD + "sys = 1\n", "is no table"),
        (HEAD + '["../etc"]\npasswd = "x"\n', "not below sys, proc, dev"),
        (HEAD + '["/etc"]\npasswd = "x"\n', "not below sys, proc, dev"),
        (HEAD + '["sys/../../etc"]\npasswd = "x"\n', "could lead out"),
        (HEAD + '["sys//a"]\nb = "x"\n', "could lead out"),
        (HEAD + '["sys"]\n".." = "x"\n', "could lead out"),
        (HEAD + '["sys"]\n"a/b" = "x"\n', "as a name"),
        (HEAD + '["sys"]\n"a\\u0000" = "x"\n', "could lead out"),
        (HEAD + '["sys"]\na = { names = [".."] }\n', "could lead out"),
        (HEAD + '["sys"]\na = { names = ["b/c"] }\n', "could lead out"),
        (HEAD + '["sys"]\na = { link = "/etc" }\n', "not to a place in the machine"),
        (HEAD + '["sys"]\na = { link = "" }\n', "not to a place in the machine"),
        (HEAD + '["sys"]\na = { link = "../../etc" }\n', "leads out"),
        (HEAD + '["sys"]\na = { link = "b" }\n["sys/a"]\nc = "x"\n', "below sys/a, which is not a directory"),
        (HEAD + '["sys"]\na = "x"\n["sys/a/b"]\nc = "x"\n', "below sys/a, which is not a directory"),
        (HEAD + '["sys"]\na = { hex = "xy" }\n', "not hexadecimal"),
        (HEAD + '["sys"]\na = { other = "x" }\n', "unknown kind"),
        (HEAD + '["sys"]\na = { link = "b", hex = "" }\n', "neither text"),
        (HEAD + '["sys"]\na = 3\n', "neither text"),
        (HEAD + '["sys"]\na = ["x", 3]\n', "something else than text"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_sentence(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "machine.toml"
    file.write_text(text)

    with pytest.raises(BadInput) as refused, open_host(file):
        pytest.fail("it was opened")

    assert what in refused.value.sentence()
    assert refused.value.hint
    assert "\n" not in refused.value.sentence()
    with pytest.raises(BadInput):
        lay_out(text, tmp_path / "host")
    assert not (tmp_path / "host").exists()


def test_what_is_no_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.toml")
    (tmp_path / "latin1.toml").write_bytes(b'machine = "\xe4"')

    (tmp_path / "large.toml").touch()
    os.truncate(tmp_path / "large.toml", MAX_SIZE + 1)
    refused = {
        "missing.toml": "no such file",
        "fifo.toml": "no regular",
        "latin1.toml": "not UTF-8",
        "large.toml": "larger than",
        f"{'x' * 300}.toml": "name too long",
    }
    for name, what in refused.items():
        with pytest.raises(BadInput, match=what), open_host(tmp_path / name):
            pytest.fail("it was opened")
    for name in ("missing", "latin1.toml/sys", ""):
        with pytest.raises(HostUnreadable), open_host(f"{tmp_path}/{name}"):
            pytest.fail("it was opened")


def test_a_directory_is_opened_as_it_is(tmp_path: Path) -> None:
    lay_out(fixture("vmd").read_text(), tmp_path / "vmd.toml")

    with open_host(str(tmp_path / "vmd.toml")) as host:
        assert same(scan(host)) == same(picture("vmd"))
    assert (tmp_path / "vmd.toml/sys").is_dir()


def test_a_recording_of_endless_directories_is_refused() -> None:
    path = "sys/" + "/".join("d" for _ in range(1000))

    with pytest.raises(BadInput, match="64 directories deep") as refused:
        layout.check(Recording(entries={f"{path}/name": File(b"x")}))
    assert len(refused.value.sentence()) < 300
    assert len(refused.value.subject) < 210


def test_an_empty_name_is_no_host() -> None:
    with pytest.raises(BadInput, match="names no host"), open_host(""):
        pass


def test_a_number_of_thousands_of_digits_is_no_defect() -> None:
    with pytest.raises(BadInput, match="not TOML"):
        toml.parse(f"format = {'9' * 5000}\n")
