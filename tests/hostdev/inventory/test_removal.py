"""A removal that waits, and the reads that would wait with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.functions import NUMVFS
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.recorder import Recorder
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder

PF, VFS = "0000:3b:00.0", ("0000:3b:02.0", "0000:3b:02.1", "0000:3b:02.2")


class _Running(Host):
    """Files of a directory, taken for those of the running kernel."""

    @property
    def live(self) -> bool:
        return True

    def read_bytes(self, path: str, *, whole: bool = False, quiet: bool = False) -> bytes | None:
        assert not path.endswith(NUMVFS), "this read may wait for ever"
        return super().read_bytes(path, whole=whole, quiet=quiet)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    machine = Builder()
    port = machine.bridge(machine.root("pci0000:3a"), "0000:3a:00.0")
    pf = machine.function(port, PF, "8086:1572", 0x020000, driver="i40e")
    machine.vfs(pf, VFS[0], "8086:154c", 0x020000, ["vfio-pci"] * len(VFS))
    layout.write(machine.recording(""), tmp_path / "host")
    return tmp_path / "host"


def _scanned(root: Path, *only: str) -> Machine:
    with _Running(root) as host:
        return scan(host, only=[PciAddress.parse(one) for one in only] or None)


@pytest.mark.parametrize("only", [(), (PF, *VFS)])
def test_vfs_are_counted_without_the_file_that_waits(root: Path, only: tuple[str, ...]) -> None:
    machine = _scanned(root, *only)

    assert machine.functions[PciAddress.parse(PF)].num_vfs == len(VFS)
    assert not any(function.removing for function in machine.functions.values() if not function.bridge)


@pytest.mark.parametrize("only", [(), VFS])
@pytest.mark.parametrize("waiting", VFS)
def test_a_driver_in_uevent_without_its_link_is_a_removal_that_waits(
    root: Path, waiting: str, only: tuple[str, ...]
) -> None:
    device = root / "sys/bus/pci/devices" / waiting
    (device / "driver").unlink()
    shutil.rmtree(device / "vfio-dev")
    (root / "sys/bus/pci/drivers/vfio-pci" / waiting).unlink()
    for link in (root / "sys/class/vfio-dev").iterdir():
        if waiting in str(link.readlink()):
            link.unlink()

    functions = _scanned(root, *only).functions

    found = {str(address): function.driver for address, function in functions.items() if function.removing}
    assert {waiting: "vfio-pci"} == {one: driver for one, driver in found.items() if one in VFS}


def test_a_recording_of_a_live_host_has_the_count(root: Path, tmp_path: Path) -> None:
    class _Recording(Recorder):
        @property
        def live(self) -> bool:
            return True

    with Host(root) as host, _Recording(host) as recorder:
        scan(recorder)
        recording = recorder.recording("", "")
    assert not [path for path in recording.entries if "/virtfn" in path]
    layout.write(recording, tmp_path / "again")
    with Host(tmp_path / "again") as host:
        assert scan(host).functions[PciAddress.parse(PF)].num_vfs == len(VFS)
