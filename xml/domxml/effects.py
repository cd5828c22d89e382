"""Attributes that libvirt and QEMU take, and the guest never sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domxml.apply import Change
from domxml.document import Domain
from domxml.finding import Finding
from domxml.guestfindings import ATTRIBUTE_WITHOUT_EFFECT
from domxml.guestpci.machines import MachineType, RootKind
from domxml.guestpci.topology import MAX_INDEX, Topology
from domxml.placement.room import PlacedDevice
from domxml.source import Mdev

_NO_ROM = "libvirt gives QEMU no ROM of a mediated device"


def without_effect(domain: Domain, machine: MachineType, changes: Sequence[Change]) -> Iterator[Finding]:
    """Find the attributes that were written in vain."""
    if not any(change.placed.function.attributes for change in changes):
        return
    acpi = domain.root.find("features/acpi") is not None
    topology = Topology(domain)
    for placed in (change.placed for change in changes):
        for key, value in placed.function.attributes.items():
            why = _why(placed, key, machine, acpi=acpi) or _below_expander(topology, placed, key)
            if why:
                text = f"{key}={value} is written and has no effect: {why}"
                yield ATTRIBUTE_WITHOUT_EFFECT.found(str(placed.function.device), text)


def _why(placed: PlacedDevice, key: str, machine: MachineType, *, acpi: bool) -> str:
    mdev = isinstance(placed.function.device, Mdev)
    if key.startswith("rom.") and mdev:
        return _NO_ROM
    if mdev and machine.root is RootKind.ZPCI and key in {"acpiIndex", "ramfb"}:
        return f"a mediated device of {machine.name} is no PCI device"
    return _unindexed(placed, machine, acpi=acpi) if key == "acpiIndex" else ""


def _unindexed(placed: PlacedDevice, machine: MachineType, *, acpi: bool) -> str:
    """Why the guest is not told an ACPI index; the tables say so, as QEMU 7.2, 10.0 and 11.1 make them."""
    if machine.root is RootKind.ZPCI:
        return f"a guest of {machine.name} has no ACPI"
    if not acpi:
        return "the domain has no <acpi/> among its <features>"
    if machine.acpi_index:
        return ""
    if placed.address is not None and placed.address.bus == 0:
        return f"QEMU 10.0 does not tell a guest of {machine.name} (QEMU 11.1 does, on the root bus)"
    return f"QEMU does not tell a guest of {machine.name}, but for a device on the root bus"


def _below_expander(topology: Topology, placed: PlacedDevice, key: str) -> str:
    if key != "acpiIndex" or placed.address is None:
        return ""
    bus = placed.address.bus
    for _ in range(MAX_INDEX):
        controller = topology.controller(bus)
        if controller is None or controller.address is None:
            return ""
        if controller.model.endswith("-expander-bus"):
            return "the guest is not told it of a device below an expander bus"
        bus = controller.address.bus
    return ""
