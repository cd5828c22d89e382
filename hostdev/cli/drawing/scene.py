"""What a picture shows, whatever it is drawn with: the PCI tree, its colours, its words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from domxml.pciaddress import PciAddress
from hostdev.cli.devices import Device, list_devices
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.pciids import Namer
from hostdev.inventory.vfiodrivers import vfio_driver

NEUTRAL = "#8492a6"
GOOD = "#2f9e44"
HUES = (
    "#e8590c",
    "#1c7ed6",
    "#9c36b5",
    "#0c8599",
    "#e03131",
    "#6741d9",
    "#d6336c",
    "#a07000",
    "#4263eb",
    "#8a5a44",
)
"""Told apart by eye on a light ground, green left out; they repeat when there are more."""

ALONE = "alone in its group"
NO_GROUP = "no group"
NO_DRIVER = "no driver"
NO_NODE = "no NUMA node"
_FIXED = {ALONE: NEUTRAL, NO_GROUP: "#495057", NO_DRIVER: NEUTRAL, NO_NODE: NEUTRAL, "pcieport": NEUTRAL}


def color_kinds(machine: Machine, by: str) -> Mapping[PciAddress, str]:
    """Name what each function belongs to."""
    kind = _KINDS[by]
    return {address: kind(machine, function) for address, function in machine.functions.items()}


def kind_colors(kinds: Mapping[PciAddress, str]) -> Mapping[str, str]:
    """A colour for each word, in the order the functions have."""
    chosen: dict[str, str] = {}
    hues = 0
    for _, kind in sorted(kinds.items()):
        if kind in chosen:
            continue
        if kind in _FIXED:
            chosen[kind] = _FIXED[kind]
        elif vfio_driver(kind) is not None:
            chosen[kind] = GOOD
        else:
            chosen[kind] = HUES[hues % len(HUES)]
            hues += 1
    return chosen


def tint(color: str, strength: float = 0.13) -> str:
    """A colour mixed with white."""
    parts = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 - (255 - part) * strength):02x}" for part in parts)


def _group(machine: Machine, function: PciFunction) -> str:
    group = machine.group_of(function.address)
    if group is None:
        return NO_GROUP
    ends = [member for member in group.members if member in machine.functions and not machine.functions[member].bridge]
    return f"group {group.number}" if len(ends) > 1 else ALONE


def _driver(_machine: Machine, function: PciFunction) -> str:
    return function.driver or NO_DRIVER


def _numa(_machine: Machine, function: PciFunction) -> str:
    return NO_NODE if function.numa_node is None else f"NUMA node {function.numa_node}"


_KINDS: Mapping[str, Callable[[Machine, PciFunction], str]] = {"group": _group, "driver": _driver, "numa": _numa}


@dataclass(frozen=True, slots=True)
class Knot:
    """A function, the functions on the bus below it, and its VFs."""

    address: PciAddress
    below: tuple[Knot, ...] = ()
    vfs: tuple[PciAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Root:
    """A host bridge and its tree."""

    name: str
    numa: int | None
    knots: tuple[Knot, ...]


def forest(machine: Machine) -> tuple[Root, ...]:
    """Every host bridge, in the order of its first function."""
    below: dict[PciAddress | None, list[PciAddress]] = defaultdict(list)
    vfs: dict[PciAddress, list[PciAddress]] = defaultdict(list)
    for address, function in sorted(machine.functions.items()):
        if function.physfn is not None and function.physfn in machine.functions:
            vfs[function.physfn].append(address)
        else:
            below[function.parent if function.parent in machine.functions else None].append(address)

    def knot(address: PciAddress) -> Knot:
        return Knot(address, tuple(map(knot, below.get(address, ()))), tuple(vfs.get(address, ())))

    tops: dict[str, list[Knot]] = defaultdict(list)
    for address in below[None]:
        tops[machine.functions[address].root].append(knot(address))
    return tuple(
        Root(name or "no host bridge", _root_node(machine, knots), tuple(knots)) for name, knots in tops.items()
    )


def _root_node(machine: Machine, knots: list[Knot]) -> int | None:
    """The NUMA node of most functions below a host bridge."""
    nodes = Counter(machine.functions[address].numa_node for address in _addresses(knots))
    return next((node for node, _ in nodes.most_common() if node is not None), None)


def _addresses(knots: Iterable[Knot]) -> Iterator[PciAddress]:
    for knot in knots:
        yield knot.address
        yield from _addresses(knot.below)


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
        found = {device.function.address: device for device in list_devices(machine, namer)}
        kinds = color_kinds(machine, by)
        return cls(_title(machine), _facts(machine, found), by, forest(machine), found, kinds, kind_colors(kinds))

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
