"""What a picture shows, whatever it is drawn with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from domxml.pciaddress import PciAddress
from hostdev.cli.devices import Device, devices
from hostdev.cli.drawing import palette
from hostdev.cli.drawing.forest import Root, forest
from hostdev.machine import Machine
from hostdev.pcinames import Namer

_ON_THE_WAY = frozenset({0x0600, 0x0601})
"""Host bridges and ISA bridges have no bus of their own below them; an NVSwitch calls itself a bridge and is none."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The machine, its devices, and the colour of each."""

    title: str
    facts: str
    by: str
    roots: tuple[Root, ...]
    devices: Mapping[PciAddress, Device]
    kinds: Mapping[PciAddress, str]
    colors: Mapping[str, str]

    @classmethod
    def of(cls, machine: Machine, namer: Namer, by: str) -> Scene:
        """Everything about a machine, coloured by `group`, `driver` or `numa`."""
        found = {device.function.address: device for device in devices(machine, namer)}
        kinds = palette.kinds(machine, by)
        return cls(_title(machine), _facts(machine, found), by, forest(machine), found, kinds, palette.colors(kinds))

    def color(self, address: PciAddress) -> str:
        """The colour of a function."""
        return self.colors[self.kinds[address]]

    def is_flat(self, address: PciAddress) -> bool:
        """Whether a function is only part of the way: a bridge of some kind."""
        function = self.devices[address].function
        return function.bridge or function.class_code >> 8 in _ON_THE_WAY

    def legend(self) -> list[tuple[str, int]]:
        """What the colours mean, and for how many functions."""
        counts = Counter(kind for address, kind in self.kinds.items() if not self.is_flat(address))
        return [(kind, counts[kind]) for kind in self.colors if counts[kind]]

    def node_title(self, node: int | None) -> str:
        """The heading of a NUMA node's host bridges."""
        if node is not None:
            return f"NUMA node {node}"
        return "no NUMA node" if any(root.numa is not None for root in self.roots) else ""

    def hover(self, device: Device) -> str:
        """All about a device in a few words."""
        function = device.function
        driver = f"driver {function.driver}" if function.driver else "no driver"
        group = "no IOMMU group" if function.group is None else f"IOMMU group {function.group}"
        verdict = "can be passed through" if device.passes else f"cannot be passed through: {', '.join(device.reasons)}"
        return f"{function.address} {device.class_name}: {device.title}; {driver}; {group}; {verdict}"


def _title(machine: Machine) -> str:
    source = PurePath(machine.source)
    if source == PurePath("/"):
        return "PCI devices of this machine"
    return f"PCI devices of {source.stem if source.suffix == '.toml' else source}"


def _facts(machine: Machine, found: Mapping[PciAddress, Device]) -> str:
    passing = sum(device.passes for device in found.values())
    kernel = f"Linux {machine.kernel.release} · " if machine.kernel.release else ""
    return (
        f"{kernel}{len(machine.functions)} PCI functions · {len(machine.groups)} IOMMU groups · "
        f"{passing} can be passed through"
    )
