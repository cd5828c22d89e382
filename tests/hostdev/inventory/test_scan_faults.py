"""A sysfs that misbehaves: nothing of it may stop a scan, and the rest is still told."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from domxml.pciaddress import PciAddress
from hostdev.gate.hostuse import is_proved_unused
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.layout import lay_out
from tests.hostdev.machines import MACHINES
from tests.hostdev.machines.fixtures import NAMES, fixture, picture

DEVICES = "sys/bus/pci/devices"
NIC = "sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0"
VF = "sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:02.3"
ADDRESS = PciAddress.parse("0000:3b:02.3")


@pytest.fixture
def x710(tmp_path: Path) -> Path:
    lay_out(fixture("two-socket-x710").read_text(), tmp_path / "host")
    return tmp_path / "host"


def seen(root: Path, *only: PciAddress) -> Machine:
    with Host(root, source=str(fixture("two-socket-x710"))) as host:
        return scan(host, only=only or None)


def without(machine: Machine, *addresses: PciAddress) -> dict[PciAddress, object]:
    return {address: function for address, function in machine.functions.items() if address not in addresses}


def test_a_device_that_has_left_is_left_out(x710: Path) -> None:
    shutil.rmtree(x710 / VF)

    machine = seen(x710, ADDRESS)

    assert ADDRESS not in machine.functions
    assert machine.unread == ()


class _Losing(Host):
    """Loses a device when another one is looked at."""

    def read_bytes(self, path: str, *, whole: bool = False, quiet: bool = False) -> bytes | None:
        if path.endswith("0000:af:00.0/uevent"):
            shutil.rmtree(f"{self.root}/sys/devices/pci0000:d7/0000:d7:00.0/0000:d8:00.0")
        return super().read_bytes(path, whole=whole, quiet=quiet)


def test_a_device_that_leaves_while_we_look_at_another(x710: Path) -> None:
    with _Losing(x710) as host:
        machine = scan(host)

    assert machine.functions == without(picture("two-socket-x710"), PciAddress.parse("0000:d8:00.0"))
    assert machine.unread == ()


@pytest.mark.parametrize(
    ("path", "content", "field", "expected"),
    [
        (f"{NIC}/driver_override", b"(null)\n", "driver_override", None),
        (f"{NIC}/driver_override", b"\n", "driver_override", None),
        (f"{NIC}/driver_override", b"vfio-pci\n", "driver_override", "vfio-pci"),
        (f"{NIC}/sriov_numvfs", b"", "num_vfs", None),
        (f"{NIC}/sriov_numvfs", b"-3\n", "num_vfs", None),
        (f"{NIC}/sriov_numvfs", b"999999999999999999999999\n", "num_vfs", None),
        (f"{NIC}/sriov_numvfs", b"65535\n", "virtfns_after", 64),
        (f"{NIC}/sriov_stride", b"0\n", "virtfns_after", 1),
        (f"{NIC}/sriov_offset", b"junk\n", "virtfns_after", 0),
        (f"{NIC}/sriov_drivers_autoprobe", b"maybe\n", "vf_autoprobe", None),
        (f"{NIC}/reset_method", b"\n", "reset_methods", ()),
        (f"{NIC}/reset_method", b"flr \xff\n", "reset_methods", ("flr", "\ufffd")),
        (f"{NIC}/numa_node", b"-1\n", "numa_node", None),
        (f"{NIC}/numa_node", b"", "numa_node", None),
    ],
)
def test_attributes_that_say_strange_things(
    x710: Path, path: str, content: bytes, field: str, expected: object
) -> None:
    (x710 / path).write_bytes(content)

    for machine in (seen(x710), seen(x710, PciAddress.parse("0000:3b:00.0"))):
        nic = machine.functions[PciAddress.parse("0000:3b:00.0")]
        assert (len(nic.virtfns) if field == "virtfns_after" else getattr(nic, field)) == expected


def test_a_pf_that_claims_more_vfs_than_there_are_addresses(x710: Path) -> None:
    for name in ("sriov_totalvfs", "sriov_numvfs"):
        (x710 / NIC / name).write_text("9" * 20)

    vfs = seen(x710).functions[PciAddress.parse("0000:3b:00.0")].virtfns

    assert (len(vfs), vfs[-1]) == (0x10000 - 0x3B10, PciAddress.parse("0000:ff:1f.7"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "does not say which PCI function it is"),
        (b"DRIVER=x\nPCI_ID=zz\n", "does not say which PCI function it is"),
        (b"\xff\xfe" * 2000, "does not say which PCI function it is"),
        (b"x" * (4 << 20), "longer than 1 MiB, cut there"),
    ],
)
def test_a_uevent_that_makes_no_sense_hides_one_function(x710: Path, content: bytes, told: str) -> None:
    (x710 / VF / "uevent").write_bytes(content)

    machine = seen(x710, ADDRESS)

    assert machine.unread == ((f"/{VF}/uevent", told),)
    assert ADDRESS not in machine.functions


def test_a_fifo_in_place_of_a_uevent(x710: Path) -> None:
    (x710 / NIC / "uevent").unlink()
    os.mkfifo(x710 / NIC / "uevent")

    machine = seen(x710)

    nic = PciAddress.parse("0000:3b:00.0")
    assert (f"/{NIC}/uevent", "not a regular file") in machine.unread
    assert nic not in machine.functions
    # Its VFs are read one by one: without the PF nobody says that they are alike.
    bridge = PciAddress.parse("0000:3a:00.0")
    assert without(machine, bridge) == without(picture("two-socket-x710"), nic, bridge)


def test_links_out_of_the_tree_are_told_and_not_followed(x710: Path) -> None:
    for link in (f"{DEVICES}/0000:3b:02.3", f"{DEVICES}/0000:3b:00.1"):
        (x710 / link).unlink()
        (x710 / link).symlink_to("../../../../../../../../etc")
    (x710 / NIC / "driver").unlink(missing_ok=True)

    machine = seen(x710)

    assert (f"/{DEVICES}/0000:3b:00.1", "a link that leads out of the tree") in machine.unread
    assert PciAddress.parse("0000:3b:00.1") not in machine.functions
    assert seen(x710, ADDRESS).functions == {}


def test_vfs_that_share_a_group(x710: Path) -> None:
    (x710 / NIC).parent.joinpath("0000:3b:02.4/iommu_group").unlink()
    (x710 / NIC).parent.joinpath("0000:3b:02.4/iommu_group").symlink_to("../../../../kernel/iommu_groups/12")
    (x710 / "sys/kernel/iommu_groups/12/devices/0000:3b:02.4").touch()
    neighbour = PciAddress.parse("0000:3b:02.4")

    machine = seen(x710)

    assert machine.groups[12].members == (ADDRESS, neighbour)
    assert machine.groups[12] == seen(x710, neighbour).groups[12]


def test_a_pf_that_claims_what_is_no_vf_of_it(x710: Path) -> None:
    # 0000:3b:00.1 and 0000:3b:02.0 by their routing ids.
    (x710 / NIC / "sriov_offset").write_text("1")
    (x710 / NIC / "sriov_stride").write_text("15")

    pf = PciAddress.parse("0000:3b:00.0")

    assert without(seen(x710), pf) == without(picture("two-socket-x710"), pf)


def test_how_a_device_is_reset_is_not_known_where_it_could_not_be_read(x710: Path) -> None:
    (x710 / NIC / "reset_method").unlink()
    assert seen(x710).functions[PciAddress.parse("0000:3b:00.0")].reset_methods == ()

    os.mkfifo(x710 / NIC / "reset_method")
    assert seen(x710).functions[PciAddress.parse("0000:3b:00.0")].reset_methods is None


def test_a_group_link_to_nowhere(x710: Path) -> None:
    shutil.rmtree(x710 / "sys/kernel/iommu_groups/12")

    machine = seen(x710)

    assert machine.functions[ADDRESS].group == picture("two-socket-x710").functions[ADDRESS].group
    assert machine.functions == picture("two-socket-x710").functions


def test_names_that_are_no_devices(x710: Path) -> None:
    (x710 / DEVICES / "0000:zz:00.0").symlink_to("../../../devices")
    (x710 / "sys/kernel/iommu_groups/default").mkdir()
    (x710 / "sys/kernel/iommu_groups/²").mkdir()

    machine = seen(x710)

    assert machine.functions == picture("two-socket-x710").functions
    assert machine.groups == picture("two-socket-x710").groups
    assert machine.unread == ((f"/{DEVICES}/0000:zz:00.0", "not a PCI address"),)


def test_reserved_regions_that_make_no_sense(x710: Path) -> None:
    (x710 / "sys/kernel/iommu_groups/7/reserved_regions").write_text("0x0 0x1 direct\nall of it\n")

    machine = seen(x710)

    assert [region.kind for region in machine.groups[7].reserved] == ["direct"]
    assert machine.unread == (("/sys/kernel/iommu_groups/7/reserved_regions", "not a region: 'all of it'"),)


def test_block_devices_that_hold_each_other(x710: Path) -> None:
    holders = x710 / "sys/devices/virtual/block/dm-0/holders"
    (holders / "dm-0").touch()
    (holders / "sda").touch()

    disk = seen(x710).functions[PciAddress.parse("0000:00:17.0")].blocks[0]

    assert "mounted at / through vg0-root" in disk.uses


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("", set()), ("0", {0}), ("0-1,3", {0, 1, 3}), ("x-1,2-,-3,5", {2, 5}), ("0-9999999999999", set(range(1 << 16)))],
)
def test_lists_of_processors(x710: Path, text: str, cpus: set[int]) -> None:
    (x710 / "sys/devices/system/node/node1/cpulist").write_text(text)

    assert seen(x710).node_cpus[1] == cpus


def test_asking_for_what_is_not_there(x710: Path) -> None:
    assert seen(x710, PciAddress.parse("ffff:ff:1f.7")).functions == {}


class _Failing:
    """The os module, of which one call in a row fails."""

    def __init__(self, number: int, error: int) -> None:
        self.left = number
        self._error = error

    def __getattr__(self, name: str) -> object:
        real = getattr(os, name)
        if name not in {"open", "read", "readlink", "listdir", "stat"}:
            return real

        def call(*args: object, **more: object) -> object:
            self.left -= 1
            if self.left == 0:
                raise OSError(self._error, os.strerror(self._error))
            return real(*args, **more)

        return call


@pytest.mark.parametrize("error", [errno.EIO, errno.ENODEV, errno.ENOENT, errno.EACCES], ids=errno.errorcode.get)
def test_every_call_may_fail_once(tmp_path: Path, mocker: MockerFixture, error: int) -> None:
    lay_out(fixture("nvme-in-gpu-group").read_text(), tmp_path / "host")
    whole = scan(Host(tmp_path / "host"))
    in_use = {address for address, seen in whole.functions.items() if seen.use.used and not seen.bridge}
    for number in range(1, 10_000):
        host = Host(tmp_path / "host")
        failing = _Failing(number, error)
        mocker.patch("hostdev.inventory.host.os", failing)
        machine = scan(host)
        mocker.stopall()
        host.close()
        if failing.left > 0:
            assert machine == whole
            break
        told = error in {errno.EIO, errno.EACCES}
        assert bool(machine.unread) is told or machine.functions == whole.functions
        # What was not hit is as it was.
        same = [address for address, seen in machine.functions.items() if _alike(seen, whole.functions.get(address))]
        listing_failed = any(path.startswith(f"/{DEVICES}") or path == "/sys" for path, _ in machine.unread)
        assert len(same) >= len(whole.functions) - 1 or listing_failed or not told
        if told:
            assert not any(is_proved_unused(machine, seen) for a, seen in machine.functions.items() if a in in_use)
    else:
        pytest.fail("the scan never came to an end")


def _alike(one: PciFunction, other: PciFunction | None) -> bool:
    """But for their use, to which every layer of the host may contribute."""
    return other is not None and replace(one, use=other.use) == other


PATHS = sorted(path for path in MACHINES["consumer-gpu"]().entries if not path.startswith("dev/"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=80) | st.none(), max_size=len(PATHS) // 3))
def test_whatever_stands_in_the_files(contents: dict[str, bytes | None]) -> None:
    with TemporaryDirectory() as directory:
        root = Path(directory) / "host"
        layout.write(MACHINES["consumer-gpu"](), root)
        for path, content in contents.items():
            place = root / path
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
            if content is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        with Host(root) as host:
            machine = scan(host)
            for address in machine.functions:
                assert address in scan(host, only=[address]).functions
        for path, reason in machine.unread:
            assert path.startswith("/")
            assert reason


@pytest.mark.parametrize("name", [name for name in NAMES if name != "empty"])
def test_empty_files_everywhere(tmp_path: Path, name: str) -> None:
    lay_out(fixture(name).read_text(), tmp_path / "host")
    for place in (tmp_path / "host").rglob("*"):
        if place.is_file() and not place.is_symlink():
            place.write_bytes(b"")

    with Host(tmp_path / "host") as host:
        machine = scan(host)

    assert machine.functions == {}
    assert len(machine.unread) == len({path for path, _ in machine.unread}) > 0


def test_links_that_end_in_a_slash_lead_where_they_led(x710: Path, tmp_path: Path) -> None:
    """As some programs write links when they copy a tree."""
    before = seen(x710)
    links = [place for place in x710.rglob("*") if place.is_symlink()]
    for number, place in enumerate(links):
        target = str(place.readlink())
        place.unlink()
        place.symlink_to((f"{target}/", f"{target}/.", f"{target.replace('/', '//')}//")[number % 3])

    machine = seen(x710)
    with Host(x710) as host:
        (tmp_path / "snapshot.toml").write_text(snapshot(host))
    with open_host(tmp_path / "snapshot.toml") as host:
        recorded = scan(host)

    assert machine == before
    assert {address: f.parent for address, f in recorded.functions.items()} == {
        address: f.parent for address, f in before.functions.items()
    }
    assert not any(f.parent == address for address, f in machine.functions.items())


@pytest.mark.parametrize(
    ("own", "above", "node"),
    [("1", "0", 1), ("0", "-1", 0), ("0", None, 0), ("-1", "0", None), (None, "1", 1), (None, None, None)],
)
def test_the_node_of_a_function_is_its_own(own: str | None, above: str | None, node: int | None, x710: Path) -> None:
    """Snapshots of 0.1.0 hold only what the bridge above says."""
    for place, text in ((NIC, own), (NIC.rpartition("/")[0], above)):
        (x710 / place / "numa_node").unlink(missing_ok=True)
        if text is not None:
            (x710 / place / "numa_node").write_text(f"{text}\n")

    for machine in (seen(x710), seen(x710, PciAddress.parse("0000:3b:00.0"))):
        assert machine.functions[PciAddress.parse("0000:3b:00.0")].numa_node == node


def test_a_kernel_that_tells_no_offset_of_vfs_links_them(x710: Path) -> None:
    before = seen(x710)
    for name in ("sriov_offset", "sriov_stride"):
        (x710 / NIC / name).unlink()
    for number in range(8):
        (x710 / NIC / f"virtfn{number}").symlink_to(f"../0000:3b:02.{number}")
    machine = seen(x710)

    pf = PciAddress.parse("0000:3b:00.0")
    assert len(machine.functions[pf].virtfns) == 8
    assert machine.functions[pf].virtfns == before.functions[pf].virtfns
    assert {a: f.physfn for a, f in machine.functions.items()} == {a: f.physfn for a, f in before.functions.items()}
