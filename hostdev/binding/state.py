"""Declared node state: drivers of devices, VFs, what the kernel is booted with, and what is offered to kubelet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.kubelet.resourcename import variable_name

Ids = tuple[int, int]


class Match(NamedTuple):
    """Which devices an entry means: a place, and what must be there; without a place all that are so."""

    address: PciAddress | None = None
    path: str = ""
    id: Ids | None = None
    subsystem: Ids | None = None
    class_name: str = ""
    numa: int | None = None
    driver: str = ""

    @property
    def has_place(self) -> bool:
        """It means one device, by where it is."""
        return self.address is not None or bool(self.path)

    def __str__(self) -> str:
        said = {
            "address": self.address,
            "path": self.path,
            "id": self.id and ids_text(self.id),
            "subsystem": self.subsystem and ids_text(self.subsystem),
            "class": self.class_name,
            "numa": self.numa,
            "driver": self.driver,
        }
        return ", ".join(f"{key} {value}" for key, value in said.items() if value is not None and value != "")


class DeviceEntry(NamedTuple):
    """Devices, and the driver that they shall have."""

    place: str
    match: Match
    driver: str
    with_group: bool = False
    despite: frozenset[str] = frozenset()
    """Codes of what is accepted of the device, for good."""


class VfEntry(NamedTuple):
    """PFs, how many VFs each shall have, and the driver of these."""

    place: str
    match: Match
    number: int
    driver: str = ""
    """Empty: as the kernel probes them."""
    settings: Mapping[str, str] = MappingProxyType({})
    """As `hostdev/binding/vfsettings.py` has them: `vlan` of every VF, `0.mac` of one."""
    despite: frozenset[str] = frozenset()


class Parameter(NamedTuple):
    """A parameter of the kernel's command line."""

    place: str
    text: str

    @property
    def name(self) -> str:
        return self.text.partition("=")[0]

    @property
    def value(self) -> str | None:
        """None for a parameter that is a word alone."""
        _, equals, value = self.text.partition("=")
        return value if equals else None


class ModuleOption(NamedTuple):
    """An option of a kernel module."""

    place: str
    module: str
    option: str
    value: str

    def __str__(self) -> str:
        return f"{self.module}.{self.option}"


class UnitKind(StrEnum):
    """What holds the functions of a unit together."""

    FUNCTION = "function"
    SLOT = "slot"
    """A function with its companions: what has its slot."""
    GROUP = "group"
    """All that is in the IOMMU groups of a function, and of what comes with it."""


class By(StrEnum):
    """What hands the devices of an offer out."""

    PLUGIN = "plugin"
    CLAIM = "claim"


class OfferEntry(NamedTuple):
    """A resource of kubelet, and the units that it counts."""

    place: str
    resource: str
    match: Match
    unit: UnitKind | None = None
    """None: the smallest whole that the IOMMU allows."""
    limit: int | None = None
    by: By = By.PLUGIN


class UnitSet(NamedTuple):
    """Functions whose units go to one pod together, such as GPUs that NVLink joins."""

    place: str
    name: str
    functions: tuple[Match, ...]
    is_whole: bool = False
    """A pod gets all of it or nothing: part of it is refused."""


class Nodes(NamedTuple):
    """Which nodes a document is for: all, those of these names, those that have such devices."""

    names: tuple[str, ...] = ()
    has: tuple[Match, ...] = ()


class NodeState(NamedTuple):
    """One document."""

    name: str = ""
    nodes: Nodes = Nodes()
    devices: tuple[DeviceEntry, ...] = ()
    vfs: tuple[VfEntry, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    options: tuple[ModuleOption, ...] = ()
    offers: tuple[OfferEntry, ...] = ()
    sets: tuple[UnitSet, ...] = ()

    def joined(self, other: NodeState) -> NodeState:
        """What two documents declare together."""
        return self._replace(
            devices=self.devices + other.devices,
            vfs=self.vfs + other.vfs,
            parameters=self.parameters + other.parameters,
            options=self.options + other.options,
            offers=self.offers + other.offers,
            sets=self.sets + other.sets,
        )


def ids_text(ids: Ids) -> str:
    """`8086:1572`."""
    return f"{ids[0]:04x}:{ids[1]:04x}"


def name_clashes(entries: Sequence[OfferEntry]) -> Iterator[tuple[int, str]]:
    """Entries whose resource a VM cannot tell from that of an entry before, by number, and why."""
    first: dict[str, OfferEntry] = {}
    for number, entry in enumerate(entries):
        variable = variable_name(entry.resource)
        before = first.setdefault(variable, entry)
        if before is entry or not entry.resource:
            continue
        if before.resource == entry.resource:
            yield number, f"is {entry.resource}, which {before.place} offers: a resource has one entry"
        else:
            names = f"{entry.resource} and {before.resource} of {before.place}"
            yield number, f"{names} are one variable in a VM's pod, {variable}"
