"""The host's side of PCI devices: virtual functions, drivers, groups, by plain reads and writes of sysfs."""

from __future__ import annotations

import time
from pathlib import Path

from domxml.pciaddress import PciAddress
from tests.vmhost.inside.scenario import expect

PCI = Path("/sys/bus/pci")
GROUPS = Path("/sys/kernel/iommu_groups")
VFIO = "vfio-pci"
TRIES = 300
PAUSE = 0.2


def directory(address: PciAddress) -> Path:
    """The device in sysfs."""
    return PCI / "devices" / str(address)


def driver(address: PciAddress) -> str | None:
    """The driver that holds a device."""
    link = directory(address) / "driver"
    return link.readlink().name if link.is_symlink() else None


def bind(address: PciAddress, name: str = VFIO) -> None:
    """Give a device to a driver, away from the one that has it."""
    (directory(address) / "driver_override").write_text(name)
    _unbind(address)
    for _ in range(TRIES):
        _probe(address)
        if driver(address) == name:
            break
        # While udev has the kernel try another driver, a write to drivers_probe succeeds and does nothing.
        time.sleep(PAUSE)
    expect(driver(address) == name, f"{address} is on {driver(address)} after it was given to {name}")


def release(address: PciAddress) -> None:
    """Give a device to whichever driver of the host takes it."""
    (directory(address) / "driver_override").write_text("\n")
    _unbind(address)
    _probe(address)


def create_vfs(pf: PciAddress, count: int) -> None:
    """Make virtual functions that no host driver takes."""
    device = directory(pf)
    (device / "sriov_drivers_autoprobe").write_text("0")
    (device / "sriov_numvfs").write_text(str(count))


def groups() -> frozenset[frozenset[PciAddress]]:
    """The IOMMU groups as the kernel has them."""
    return frozenset(
        frozenset(PciAddress.parse(member.name) for member in (group / "devices").iterdir())
        for group in GROUPS.iterdir()
    )


def numa_node(address: PciAddress) -> int:
    """The NUMA node the kernel shows for a device."""
    return int((directory(address) / "numa_node").read_text())


def _unbind(address: PciAddress) -> None:
    if driver(address) is not None:
        (directory(address) / "driver" / "unbind").write_text(str(address))


def _probe(address: PciAddress) -> None:
    (PCI / "drivers_probe").write_text(str(address))
