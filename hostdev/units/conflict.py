"""Units that cannot be given beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import Machine
from hostdev.units.unit import Unit


class Conflict(NamedTuple):
    """Two units, and what only one of them can have."""

    first: Unit
    second: Unit
    why: str


def find_conflicts(machine: Machine, units: Sequence[Unit]) -> Iterator[Conflict]:
    """Find units that share a function or an IOMMU group, and VFs beside their PF; each with the first that has it."""
    told: set[tuple[int, int]] = set()
    for first, second, why in (*_shared(units), *_of_pfs(machine, units)):
        if (first, second) not in told:
            told.add((first, second))
            yield Conflict(units[first], units[second], why)


def _shared(units: Sequence[Unit]) -> Iterator[tuple[int, int, str]]:
    owners: dict[PciAddress | int, int] = {}
    for number, unit in enumerate(units):
        keys: Iterable[PciAddress | int] = (*unit.functions, *unit.groups)
        for key in keys:
            first = owners.setdefault(key, number)
            if first != number:
                yield first, number, f"both have {key}" if isinstance(key, PciAddress) else f"share IOMMU group {key}"


def _of_pfs(machine: Machine, units: Sequence[Unit]) -> Iterator[tuple[int, int, str]]:
    owners = {address: number for number, unit in enumerate(units) for address in unit.functions}
    for number, unit in enumerate(units):
        for address in unit.functions:
            pf = machine.functions[address].physfn
            owner = owners.get(pf) if pf is not None else None
            if owner is not None and owner != number:
                yield owner, number, f"{address} is a VF of {pf}, and goes when the PF is given away"
