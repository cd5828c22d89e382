"""What kubelet is told: a pool of units for each resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.binding.state import NodeState, OfferEntry
from hostdev.binding.vfsettings import UNREAD, Readings
from hostdev.inventory.machine import Machine
from hostdev.units.unit import Unit

Held = Mapping[str, frozenset[str]]
"""The ids that pods hold, by resource; of resources alone that are, or were, offered here."""
NONE_HELD: Held = MappingProxyType({})
Taken = Mapping[PciAddress | str, str]
"""Functions that are held by other means, and by what: another plugin's pods, VMs that kubelet knows nothing of."""
NOTHING_TAKEN: Taken = MappingProxyType({})


class OfferedUnit(NamedTuple):
    """A unit in the list of a resource."""

    id: str
    unit: Unit | None
    """None: a pod holds it, and it is no longer there."""
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
    """The units of one resource."""

    resource: str
    entry: OfferEntry | None
    """None where the state names the resource no longer, and pods still hold of it."""
    units: tuple[OfferedUnit, ...]
    """What kubelet is told, in the order of the machine; what is gone comes last."""
    excluded: tuple[OfferedUnit, ...] = ()
    """What the entry means, too, and kubelet is not told of, because nothing that shares with it could be given."""
    spare: int = 0
    """How many more there are than its limit."""
    sets: tuple[PoolSet, ...] = ()

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
    readings: Readings = UNREAD
    taken: Taken = NOTHING_TAKEN


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

    @cached_property
    def by_resource(self) -> Mapping[str, Pool]:
        """Its pools by their resources."""
        return {pool.resource: pool for pool in self.pools}
