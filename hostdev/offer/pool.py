"""What is offered: a pool of units for each resource, and each way in which it is handed out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.binding.state import By, NodeState, OfferEntry
from hostdev.binding.vfsettings import UNREAD, Readings
from hostdev.inventory.machine import Machine
from hostdev.units.unit import Unit

Held = Mapping[str, frozenset[str]]
"""Ids that are held, by resource; of resources alone that are, or were, offered here."""
NONE_HELD: Held = MappingProxyType({})
Taken = Mapping[PciAddress | str, str]
"""Functions that are held by other means, and by what: another plugin's pods, VMs that kubelet knows nothing of."""
NOTHING_TAKEN: Taken = MappingProxyType({})


class OfferedUnit(NamedTuple):
    """A unit in the list of a resource."""

    id: str
    unit: Unit | None
    """None: it is held, and no longer there."""
    against: tuple[Finding, ...] = ()
    """What speaks against giving it, beside what the gate says of its functions."""
    is_held: bool = False

    @property
    def blockers(self) -> tuple[str, ...]:
        """The codes of all that speaks against giving it."""
        of_gate = self.unit.blockers if self.unit else ()
        return tuple(dict.fromkeys((*of_gate, *(finding.code for finding in self.against))))

    @property
    def is_healthy(self) -> bool:
        """Whether a VM may be given it now."""
        return not self.against and self.unit is not None and self.unit.ready

    @property
    def numa_node(self) -> int | None:
        """None where kubelet is told of no topology."""
        return self.unit.numa_node if self.unit else None


class PoolSet(NamedTuple):
    """Units of a pool that go to one pod together."""

    name: str
    ids: frozenset[str]
    is_whole: bool


@dataclass(frozen=True)
class Pool:
    """The units of one resource that are handed out in one way."""

    resource: str
    entry: OfferEntry | None
    """None where the state offers the resource so no longer, and units of it are still held."""
    units: tuple[OfferedUnit, ...]
    """What is listed, in the order of the machine; what is gone comes last."""
    excluded: tuple[OfferedUnit, ...] = ()
    """What the entry means, too, and is not listed, because nothing that shares with it could be given."""
    spare: int = 0
    """How many more there are than its limit."""
    sets: tuple[PoolSet, ...] = ()
    by: By = By.PLUGIN

    @cached_property
    def by_id(self) -> Mapping[str, OfferedUnit]:
        """Its units by their ids."""
        return {one.id: one for one in self.units}


class Remark(NamedTuple):
    """A finding, and the places of the entries that it is about."""

    places: tuple[str, ...]
    finding: Finding


class Basis(NamedTuple):
    """All that decides about an offer."""

    state: NodeState
    machine: Machine
    held: Held = NONE_HELD
    """By pods that the device plugin gave them to."""
    readings: Readings = UNREAD
    taken: Taken = NOTHING_TAKEN
    claimed: Held = NONE_HELD
    """By resource claims."""

    def held_by(self, by: By) -> Held:
        """What is held of what is handed out in this way."""
        return self.held if by is By.PLUGIN else self.claimed


@dataclass(frozen=True)
class Offer:
    """All that is offered, and what that was made of."""

    basis: Basis
    pools: tuple[Pool, ...]
    remarks: tuple[Remark, ...] = ()
    """What is offered otherwise than the state asks for."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Its remarks, whichever entries they are about."""
        return tuple(remark.finding for remark in self.remarks)

    @property
    def machine(self) -> Machine:
        """The picture that it was made of."""
        return self.basis.machine

    def of(self, by: By) -> Mapping[str, Pool]:
        """The pools of one way, by their resources."""
        return self._pools[by]

    @cached_property
    def _pools(self) -> Mapping[By, Mapping[str, Pool]]:
        return {by: {pool.resource: pool for pool in self.pools if pool.by is by} for by in By}
