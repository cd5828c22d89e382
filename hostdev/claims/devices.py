"""Devices of a ResourceSlice, made of the units that are offered by claim."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.binding.state import By
from hostdev.claims.counters import Claimable, Consumption, CounterSet, count_exclusions, leave_out_excluded
from hostdev.inventory.bars import Bar, BarKind
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.kubelet.resourcename import DRIVER
from hostdev.offer.pool import Offer, OfferedUnit, Pool, Remark
from hostdev.printing.documents import Document
from hostdev.units.unit import Unit

STANDARD = "resource.kubernetes.io"
MOST_ENTRIES = 32
"""Attributes and capacities of a device together."""
LONGEST_VALUE = 64
"""Bytes of an attribute."""
LONGEST_NAME = 63
_HASH = 8
_NOT_OF_LABELS = re.compile(r"[^a-z0-9-]")
_PCIE_ROOT = re.compile(r"pci[0-9a-f]{4,8}:[0-9a-f]{2}", re.ASCII)
_STEPS = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


class Device(NamedTuple):
    """A unit as a device of a ResourceSlice."""

    name: str
    resource: str
    unit: OfferedUnit
    attributes: Mapping[str, Document]
    capacity: Mapping[str, Document]
    consumes: tuple[Consumption, ...] = ()
    made_of: tuple[object, ...] = ()
    """All that decides about what is said of it."""

    def as_json(self) -> Document:
        """As an entry of `spec.devices`."""
        content: Document = {"name": self.name, "attributes": dict(self.attributes)}
        if self.capacity:
            content["capacity"] = dict(self.capacity)
        if self.consumes:
            content["consumesCounters"] = [one.as_json() for one in self.consumes]
        return content


@dataclass(frozen=True)
class Inventory:
    """All that slices say of a node."""

    devices: tuple[Device, ...] = ()
    counter_sets: tuple[CounterSet, ...] = ()
    left_out: tuple[Remark, ...] = ()
    """Units that no counters keep apart from what they share with."""

    @property
    def remarks(self) -> tuple[Finding, ...]:
        """What is left out, whichever entries it is about."""
        return tuple(one.finding for one in self.left_out)

    @cached_property
    def by_name(self) -> Mapping[str, Device]:
        """Its devices by their names."""
        return {one.name: one for one in self.devices}


def make_inventory(offer: Offer, last: Inventory = Inventory(), *, with_counters: bool = True) -> Inventory:
    """List what can be given, and what a claim holds, whatever became of that.

    Units that share something exclude each other by counters, which go by all units of the offer: one that is not
    ready for a moment changes no counter. An API server without counters gets one of those that share. What was
    refreshed of the last offer is described anew, and nothing else.
    """
    # By place, so that what shares is in one slice, which changes as a whole.
    pairs = sorted(
        ((pool, one) for pool in offer.of(By.CLAIM).values() for one in pool.units), key=lambda pair: _place(*pair)
    )
    units = [
        Claimable(device_name(one.id, pool.resource), pool.resource, one.unit, one.is_held, one.is_healthy)
        for pool, one in pairs
        if one.unit
    ]
    if with_counters:
        sets, consumed, left_out = count_exclusions(offer.machine, units)
    else:
        sets, consumed, left_out = (), {}, leave_out_excluded(offer.machine, units)
    made = (_device(offer.machine, pool, one, last) for pool, one in pairs if is_listed(one))
    devices = (one._replace(consumes=consumed.get(one.name, ())) for one in made)
    places = {pool.resource: (pool.entry.place,) if pool.entry else () for pool, _ in pairs}
    remarks = (Remark(places[one.resource], left_out[one.name]) for one in units if one.name in left_out)
    listed = (one for one in devices if one.unit.is_held or one.name not in left_out)
    return Inventory(tuple(listed), sets, tuple(remarks))


def _place(pool: Pool, one: OfferedUnit) -> tuple[bool, PciAddress | None, str, str]:
    return one.unit is None, one.unit.primary if one.unit else None, one.id, pool.resource


def is_listed(one: OfferedUnit) -> bool:
    """Whether slices have it: a claim's device stays, and others are there while they can be given."""
    return one.is_held or one.is_healthy


@lru_cache(maxsize=1 << 14)  # All of a node are asked for at each change.
def device_name(unit_id: str, resource: str) -> str:
    """A DNS label for a unit of a resource, the same whatever else is offered.

    A card as a whole and its first function have one id, as two resources may, and each is a device of its own.
    """
    hashed = sha256(f"{resource}\n{unit_id}".encode()).hexdigest()[:_HASH]
    readable = _NOT_OF_LABELS.sub("-", unit_id.lower())[: LONGEST_NAME - _HASH - 1].strip("-")
    return f"{readable}-{hashed}".lstrip("-")


def resource_value(resource: str) -> str:
    """A resource's name as an attribute; of one that is too long its beginning and a hash, which no name looks like."""
    if len(resource) <= LONGEST_VALUE:
        return resource
    hashed = sha256(resource.encode()).hexdigest()[: 2 * _HASH]
    return f"{resource[: LONGEST_VALUE - len(hashed) - 1]}~{hashed}"


def _device(machine: Machine, pool: Pool, one: OfferedUnit, last: Inventory) -> Device:
    name = device_name(one.id, pool.resource)
    functions = tuple(machine.functions[address] for address in one.unit.functions) if one.unit else ()
    sets = tuple(known.name for known in pool.sets if one.id in known.ids)
    before = last.by_name.get(name)
    if before and before.made_of == (one.unit, functions, sets):
        return before if before.unit is one else before._replace(unit=one)
    attributes = {_ours("resource"): _text(resource_value(pool.resource))}
    if len(one.id.encode()) <= LONGEST_VALUE:
        attributes[_ours("id")] = _text(one.id)
    capacity = dict(_capacity(functions)) if functions else {}
    if one.unit:
        attributes |= dict(_of_unit(one.unit, functions[0])) | dict(_of_sets(sets))
        attributes |= dict(_of_functions(one.unit, MOST_ENTRIES - len(attributes) - len(capacity)))
    return Device(name, pool.resource, one, attributes, capacity, made_of=(one.unit, functions, sets))


def _of_unit(unit: Unit, primary: PciFunction) -> Iterator[tuple[str, Document]]:
    """What is known of a unit; what is not, has no attribute."""
    yield f"{STANDARD}/pciBusID", _text(str(unit.primary))
    if _PCIE_ROOT.fullmatch(unit.root):
        yield f"{STANDARD}/pcieRoot", _text(unit.root)
    if unit.numa_node is not None:
        yield f"{STANDARD}/numaNode", {"int": unit.numa_node}
    yield _ours("unit"), _text(str(unit.kind))
    yield _ours("class"), _text(f"{unit.class_code >> 8:04x}")
    yield _ours("vendor"), _text(f"{unit.vendor:04x}")
    yield _ours("device"), _text(f"{unit.device:04x}")
    if primary.subsystem_vendor is not None and primary.subsystem_device is not None:
        yield _ours("subsystemVendor"), _text(f"{primary.subsystem_vendor:04x}")
        yield _ours("subsystemDevice"), _text(f"{primary.subsystem_device:04x}")
    if unit.driver and len(unit.driver.encode()) <= LONGEST_VALUE:
        yield _ours("driver"), _text(unit.driver)
    yield _ours("functionCount"), {"int": len(unit.functions)}


def _of_sets(names: Sequence[str]) -> Iterator[tuple[str, Document]]:
    """The set that it is in. Of several none: claims compare one attribute of all their devices."""
    if len(names) == 1 and len(names[0].encode()) <= LONGEST_VALUE:
        yield _ours("set"), _text(names[0])


def _of_functions(unit: Unit, most: int) -> Iterator[tuple[str, Document]]:
    """All functions, five to an attribute: `functions`, `functions2`, …; `functionCount` tells of all."""
    texts = [""]
    for address in map(str, unit.functions):
        longer = f"{texts[-1]},{address}".lstrip(",")
        texts[-1:] = [longer] if len(longer) <= LONGEST_VALUE else [texts[-1], address]
    for number, text in enumerate(texts[:most], 1):
        yield _ours("functions" if number == 1 else f"functions{number}"), _text(text)


def _capacity(functions: Sequence[PciFunction]) -> Iterator[tuple[str, Document]]:
    """The memory BARs of the primary function, and what those of all functions take; unknown is not 0."""
    primary = functions[0].bars
    for bar in _memory(primary.own) if primary else ():
        yield _ours(f"bar{bar.index}"), {"value": quantity(bar.size)}
    known = [one.bars for one in functions if one.bars is not None]
    if len(known) == len(functions):
        yield _ours("memory"), {"value": quantity(sum(bar.size for bars in known for bar in _memory(bars.own)))}


def _memory(bars: Sequence[Bar]) -> Iterator[Bar]:
    return (bar for bar in bars if bar.kind is not BarKind.IO)


def quantity(size: int) -> str:
    """A number of bytes in the one form in which Kubernetes writes it back: `64Gi`."""
    step = 0
    while size and size % 1024 == 0 and step + 1 < len(_STEPS):
        size, step = size // 1024, step + 1
    return f"{size}{_STEPS[step]}"


def _ours(name: str) -> str:
    return f"{DRIVER}/{name}"


def _text(value: str) -> Document:
    return {"string": value}
