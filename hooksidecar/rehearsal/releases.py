"""What each KubeVirt release does at a boot: how often it calls the hook, and which fields its structs have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Structs(NamedTuple):
    """Fields that not every release has; those that all have are in `structs`."""

    devices: frozenset[str] = frozenset()
    controller: frozenset[str] = frozenset()
    """Children of a controller."""
    target: frozenset[str] = frozenset()
    """Attributes and children of a controller's target."""
    driver: frozenset[str] = frozenset()
    """Attributes of a hostdev's driver."""
    acpi: frozenset[str] = frozenset()
    """Attributes of a hostdev's acpi; a release that has none of them drops the element."""


class Release(NamedTuple):
    """A release, or several that do the same."""

    meaning: str
    structs: Structs
    second: str
    """A second define with libvirt's read-back: `placeholders` if there are any, or `always`."""
    last: str
    """One more define with spare root ports: `never`, `ports` if there are any to add, or `always`."""
    least_ports: int = 0
    hotplug_off: bool = False
    """Root ports with a device of the boot lose their hotplug."""


_S15 = Structs()
_S16 = Structs(controller=frozenset({"pcihole64"}))
_S18 = _S16._replace(target=frozenset({"busNr", "node"}))
_S19 = _S18._replace(devices=frozenset({"iommu"}), driver=frozenset({"iommufd"}), acpi=frozenset({"nodeset"}))
_MAIN = _S19._replace(target=frozenset({"busNr", "node", "hotplug"}))

ANY = Release(
    "the most passes and the smallest structs of all releases",
    _S15,
    "placeholders",
    "always",
    least_ports=6,
    hotplug_off=True,
)
RELEASES: Mapping[str, Release] = {
    "any": ANY,
    "1.5": Release("1 or 2 passes, as in those before", _S15, "placeholders", "never"),
    "1.6": Release("2 passes", _S16, "always", "never"),
    "1.7": Release("2 passes", _S16, "always", "never"),
    "1.8": Release("1 to 3 passes", _S18, "placeholders", "ports"),
    "1.9": Release("1 to 3 passes", _S19, "placeholders", "ports"),
    "main": Release("2 or 3 passes", _MAIN, "placeholders", "always", hotplug_off=True),
}
"""By name. Machines without PCIe are defined once by all of them."""
