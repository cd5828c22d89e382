"""The hosts that only the scenarios need: `python -m tests.scenarios.hosts` writes the recorded ones again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hostdev.inventory.host import Host
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.recorded.recording import Recording
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder
from tests.hostdev.machines.gpus import hgx_h100
from tests.hostdev.machines.servers import NET, QAT, USB, VGA, X710, X710_VF, board
from tests.house import ROOT

FOLDER = ROOT / "tests/fixtures/scenarios/hosts"
T4 = "10de:1eb8"
GRID_T4_1Q = "nvidia-230"
VGPU = "a1b2c3d4-0001-4000-8000-0000000000a1"
FAR = 100
"""A group number that no host has otherwise, so that two recordings can be laid together."""


def harvester() -> Recording:
    """Two T4 (one whole, one cut into vGPUs), a C62x, and a graphics card with sound and USB in its group."""
    machine = Builder()
    board(machine, node=0)
    machine.vfio("mdev", "vfio_mdev", "nvidia_vgpu_vfio")
    machine.file("sys/module/vfio_pci/parameters/disable_denylist", "Y")
    root = machine.root("pci0000:3a", node=0)
    whole = machine.bridge(root, "0000:3a:00.0")
    machine.function(whole, "0000:3b:00.0", T4, 0x030200, driver="vfio-pci", subsystem="10de:12a2")
    port = machine.bridge(root, "0000:3a:01.0")
    pf = machine.function(port, "0000:3d:00.0", "8086:37c8", QAT, driver="c6xx", subsystem="8086:35cf")
    machine.vfs(pf, "0000:3d:01.0", "8086:37c9", QAT, ["vfio-pci"] * 16)
    root = machine.root("pci0000:5d", node=0)
    port = machine.bridge(root, "0000:5d:00.0")
    cut = machine.function(port, "0000:5e:00.0", T4, 0x030200, driver="nvidia", subsystem="10de:12a2")
    machine.mdev_type(cut, GRID_T4_1Q, "GRID T4-1Q", 15)
    machine.mdev(cut, VGPU, GRID_T4_1Q)
    root = machine.root("pci0000:b0", node=1)
    port = machine.bridge(root, "0000:b0:00.0")
    for function, (device, code) in enumerate((("1e04", VGA), ("10f7", 0x040300), ("1ad6", USB), ("1ad7", 0x0C8000))):
        machine.function(
            port, f"0000:b1:00.{function}", f"10de:{device}", code, driver="vfio-pci", group=port, reset="bus"
        )
    _character_devices(machine, 21)
    return machine.recording("A Harvester node: a whole T4, a T4 with a vGPU, a C62x, a card of four functions")


def e810() -> Recording:
    """Two ports of an E810, 128 VFs each at most."""
    machine = Builder()
    board(machine, node=0)
    machine.vfio()
    root = machine.root("pci0000:c9", node=1)
    port = machine.bridge(root, "0000:c9:02.0", "8086:347a")
    for function, first in ((0, "0000:ca:01.0"), (1, "0000:ca:11.0")):
        address = f"0000:ca:00.{function}"
        pf = machine.function(port, address, "8086:1593", NET, driver="ice", subsystem="8086:0002", reset="flr pm bus")
        machine.netdev(pf, f"ens3f{function}")
        machine.vfs(pf, first, "8086:1889", NET, ["vfio-pci"] * 4, total=128)
    _character_devices(machine, 8)
    return machine.recording("Two ports of an E810 with four VFs each")


def hgx_with_vfs() -> Recording:
    """The eight H100 of hgx-h100.toml, and eight VFs of a network card."""
    return _joined(hgx_h100(), _card(8))


def many_vfs() -> Recording:
    """A network card with as many VFs as a VM can have devices, and some more."""
    return _card(300)


RECORDED: Mapping[str, Callable[[], Recording]] = {"harvester": harvester, "e810": e810}


def text(name: str, recording: Recording) -> str:
    """What `passgate node snapshot` would write there."""
    with TemporaryDirectory() as directory:
        layout.write(recording, Path(directory))
        with Host(directory) as host:
            return snapshot(host, machine=name, note=recording.note)


def _character_devices(machine: Builder, count: int) -> None:
    """What newer kernels and KubeVirt open instead of the groups."""
    for number in range(count):
        machine.file(f"dev/vfio/devices/vfio{number}")


def _card(count: int) -> Recording:
    machine = Builder()
    machine.vfio()
    root = machine.root("pci0000:e0", node=1)
    port = machine.bridge(root, "0000:e0:00.0", group=FAR)
    pf = machine.function(port, "0000:e1:00.0", X710, NET, driver="i40e", subsystem="8086:0007")
    machine.vfs(pf, "0000:e1:02.0", X710_VF, NET, ["vfio-pci"] * count)
    return machine.recording(f"A network card with {count} VFs")


def _joined(host: Recording, card: Recording) -> Recording:
    return Recording(note=f"{host.note}; {card.note}", entries={**card.entries, **host.entries})


def main() -> None:
    """Write the recorded ones."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, build in RECORDED.items():
        (FOLDER / f"{name}.toml").write_text(text(name, build()), encoding="utf-8")


if __name__ == "__main__":
    main()
