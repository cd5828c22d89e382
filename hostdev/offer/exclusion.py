"""Units that cannot be given beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def find_conflicts(machine: Machine, units: Sequence[Unit]) -> Iterator[Conflict]:
    """Find units that share a function or an IOMMU group, and PFs beside their VFs; each with the first that has it."""
    found: set[tuple[int, int]] = set()
    for conflict in (*_shared(units), *_of_pfs(machine, units)):
        if (conflict.first, conflict.second) not in found:
            found.add((conflict.first, conflict.second))
            yield conflict


def _shared(units: Sequence[Unit]) -> Iterator[Conflict]:
    owners: dict[PciAddress | int, int] = {}
    for number, unit in enumerate(units):
        keys: Iterable[PciAddress | int] = (*unit.functions, *unit.groups)
        for key in keys:
            first = owners.setdefault(key, number)
            if first != number:
                yield Conflict(first, number, key)


def _of_pfs(machine: Machine, units: Sequence[Unit]) -> Iterator[Conflict]:
    owners = {address: number for number, unit in enumerate(units) for address in unit.functions}
    for number, unit in enumerate(units):
        for address in unit.functions:
            pf = machine.functions[address].physfn
            owner = owners.get(pf) if pf is not None else None
            if owner is not None and owner != number:
                yield Conflict(owner, number, address, pf)
