"""What each KubeVirt release does at a boot: how it counts ports, how often it calls a hook, what its structs keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from domxml.errors import BadInput

ARCHITECTURE, MACHINE = "architecture", "machine"


class Structs(NamedTuple):
    """Fields that not every release has; those that all have are in `structs`."""

    domain: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    controller: frozenset[str] = frozenset()
    """Children of a controller."""
    target: frozenset[str] = frozenset()
    """Attributes and children of a controller's target."""
    driver: frozenset[str] = frozenset()
    """Attributes of a hostdev's driver."""
    always: frozenset[str] = frozenset()
    """Attributes of an address that are written even where they are empty."""
    acpi: frozenset[str] = frozenset()
    """Attributes of a hostdev's acpi; a release that has none of them drops the element."""


class Release(NamedTuple):
    """A release, or several that do the same."""

    name: str
    meaning: str
    structs: Structs
    last: str
    """A define with spare root ports after the others: `never`, `ports` if there are any to add, or `always`."""
    placeholders_on: str = ""
    """Which guests get placeholders: all, those of a PCIe `architecture`, or those with a PCIe `machine` as well."""
    controllers_on: str = ""
    """Which guests get the last define, in the same words."""
    all_placeholders: bool = False
    """Every spare port is held free by a placeholder interface, and none is added as a controller."""
    slot_count: bool = True
    """The annotation with the number of interface slots is read."""
    placeholder_alias: bool = False
    has_plugins: bool = False
    """It has the Plugin API."""
    dials_directories: bool = False
    """Whatever lies beside a sidecar's socket is taken for a socket, and costs two seconds a round."""


_S15 = Structs(always=frozenset({"type", "bus"}))
_S16 = _S15._replace(devices=frozenset({"panic"}), controller=frozenset({"pcihole64"}))
_S18 = _S16._replace(domain=frozenset({"on_reboot"}), target=frozenset({"busNr", "node"}), always=frozenset())
_S19 = _S18._replace(
    domain=_S18.domain | {"iommufd"},
    devices=_S18.devices | {"iommu"},
    driver=frozenset({"iommufd"}),
    acpi=frozenset({"nodeset"}),
)
_HEAD = _S19._replace(
    domain=_S19.domain | {"{http://libvirt.org/schemas/domain/qemu/1.0}commandline"},
    target=_S19.target | {"hotplug"},
)

_ONE_OR_TWO = "1 or 2 passes"
_UP_TO_THREE = "1 to 3 passes"

ANY = Release("any", "the most passes and the smallest structs of all releases", _S15, "always", controllers_on=MACHINE)


def _by_placeholders(name: str, structs: Structs) -> Release:
    """Every spare port as a placeholder, whatever the machine."""
    return Release(name, _ONE_OR_TWO, structs, "never", all_placeholders=True, slot_count=False)


def _by_ports(name: str, structs: Structs, only: str, *, alias: bool = False) -> Release:
    """Placeholders up to four interfaces, the other spare ports as controllers."""
    return Release(name, _UP_TO_THREE, structs, "ports", only, only, placeholder_alias=alias)


_KNOWN = (
    *(
        Release(f"1.5.{patch}", _ONE_OR_TWO, _S15, "never", slot_count=False, dials_directories=True)
        for patch in range(4)
    ),
    *(_by_placeholders(f"1.6.{patch}", _S16) for patch in range(4)),
    _by_ports("1.6.4", _S16, ""),
    _by_ports("1.6.5", _S16, ARCHITECTURE),
    _by_ports("1.6.6", _S16, MACHINE),
    *(_by_placeholders(f"1.7.{patch}", _S16) for patch in range(2)),
    _by_ports("1.7.2", _S16, ""),
    _by_ports("1.7.3", _S16, ARCHITECTURE),
    _by_ports("1.7.4", _S16, MACHINE),
    *(_by_ports(f"1.8.{patch}", _S18, "", alias=True) for patch in range(2)),
    _by_ports("1.8.2", _S18, ARCHITECTURE, alias=True),
    *(_by_ports(f"1.8.{patch}", _S18, MACHINE, alias=True) for patch in (3, 4)),
    _by_ports("1.9.0", _S19, MACHINE, alias=True)._replace(has_plugins=True),
    Release("head", "2 or 3 passes", _HEAD, "always", MACHINE, MACHINE, placeholder_alias=True, has_plugins=True),
)
POINT_RELEASES: Mapping[str, Release] = {release.name: release for release in _KNOWN}
"""Each release that is known, by its full name."""

NEWEST = "1.9"
"""The newest that is released: what a VM is planned for where none is named."""
_NEWEST = {name.rpartition(".")[0]: name for name in POINT_RELEASES if "." in name}
"""The newest point release that is known, by `MAJOR.MINOR`."""
RELEASES: Mapping[str, Release] = {
    "any": ANY,
    **{minor: POINT_RELEASES[name] for minor, name in _NEWEST.items()},
    "head": POINT_RELEASES["head"],
    "main": POINT_RELEASES["head"],
}
"""By the names that stand for the newest of their kind."""


def release_of(text: str) -> Release:
    """The release that a user names: `any`, `1.7`, `1.7.4` or `v1.7.4`, `head`."""
    name = text.removeprefix("v") if text[1:2].isdecimal() else text
    found = POINT_RELEASES.get(name) or RELEASES.get(name)
    if found is None:
        newest = _NEWEST.get(".".join(name.split("-")[0].split(".")[:2]))
        hint = f"{newest} is the newest of its kind that is known" if newest else f"one of {', '.join(RELEASES)}"
        raise BadInput("bad-usage", f"--kubevirt: {text!r} is no release that is known", hint=hint)
    return found
