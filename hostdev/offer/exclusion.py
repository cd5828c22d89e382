"""Units that cannot be given beside each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import Machine
from hostdev.units.unit import Unit


class Conflict(NamedTuple):
    """Two units by their numbers, and what only one of them can have: a function, a group, or a PF with its VFs."""

    first: int
    second: int
    shared: PciAddress | int
    pf: PciAddress | None = None
    """The PF of the shared function; the first unit has it."""

    @property
    def is_of_pf(self) -> bool:
        """The first has the PF of a function of the second."""
        return self.pf is not None

    @property
    def why(self) -> str:
        """As a clause of a sentence."""
        if self.pf is not None:
            return f"{self.shared} is a VF of {self.pf}, and goes when the PF is given away"
        return (
            f"both have {self.shared}"
            if isinstance(self.shared, PciAddress)
            else f"they share IOMMU group {self.shared}"
        )


Owners = Mapping[PciAddress | int, Sequence[int]]
"""By function and by IOMMU group the units that have it, by their numbers."""


def find_conflicts(machine: Machine, units: Sequence[Unit], claimed: Collection[int] = ()) -> Iterator[Conflict]:
    """Find units that share a function or an IOMMU group, and PFs beside their VFs.

    Of units that share one thing each is found with the first. Two that are `claimed` are no conflict, for claims
    exclude each other by counters; each is found with all that are not.
    """
    owners = owners_of(units)
    apart = frozenset(claimed)
    found: set[tuple[int, int]] = set()
    for conflict in (*_shared(owners, apart), *_of_pfs(machine, units, owners, apart)):
        if (conflict.first, conflict.second) not in found:
            found.add((conflict.first, conflict.second))
            yield conflict


def owners_of(units: Sequence[Unit]) -> Owners:
    """The units that have each function and each group."""
    owners: dict[PciAddress | int, list[int]] = {}
    for number, unit in enumerate(units):
        keys: Iterable[PciAddress | int] = (*unit.functions, *unit.groups)
        for key in keys:
            owners.setdefault(key, []).append(number)
    return owners


def _shared(owners: Owners, apart: Collection[int]) -> Iterator[Conflict]:
    for key, numbers in owners.items():
        if len(numbers) > 1:
            others = [number for number in numbers if number not in apart]
            yield from (Conflict(others[0], number, key) for number in others[1:])
            for first, second in product(others, (number for number in numbers if number in apart)):
                yield Conflict(min(first, second), max(first, second), key)


def _of_pfs(machine: Machine, units: Sequence[Unit], owners: Owners, apart: Collection[int]) -> Iterator[Conflict]:
    for number, unit in enumerate(units):
        for address in unit.functions:
            pf = machine.functions[address].physfn
            for owner in owners.get(pf, ()) if pf is not None else ():
                if owner != number and not (owner in apart and number in apart):
                    yield Conflict(owner, number, address, pf)
