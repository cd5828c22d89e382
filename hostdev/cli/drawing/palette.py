"""What the colours of a picture tell: which functions belong together, by IOMMU group, driver or NUMA node."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from domxml.pciaddress import PciAddress
from hostdev.machine import Machine, PciFunction
from hostdev.vfiodrivers import vfio_driver

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


def kinds(machine: Machine, by: str) -> Mapping[PciAddress, str]:
    """What each function belongs to, in words."""
    kind = _KINDS[by]
    return {address: kind(machine, function) for address, function in machine.functions.items()}


def colors(kinds: Mapping[PciAddress, str]) -> Mapping[str, str]:
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
