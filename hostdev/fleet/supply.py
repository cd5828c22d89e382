"""What a node's agent would give of resources: its offer, composed of the NodeStates that were given."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.drift import Item, compare
from hostdev.binding.state import By, NodeState, OfferEntry, VfEntry
from hostdev.findings.nodestate import NODE_STATE_DRIFTED
from hostdev.fleet.node import NEVER, Node, State
from hostdev.offer.compose import compose_offer
from hostdev.offer.pool import Offer, OfferedUnit, Pool
from hostdev.units.unit import Unit

APPLY = "`passgate node state apply FILE` on the node makes it so, and so does its agent with `--manage`"


@dataclass(frozen=True)
class Supply:
    """The offer of one node, as its snapshot and its state have it."""

    node: Node
    state: NodeState

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """The offer; with a limit two of them, since a snapshot does not tell whether pods have what is open.

        What a pod has of a resource counts within its limit, and what something else has does not.
        """
        taken: dict[PciAddress | str, str] = dict(self.node.held.items())
        first = compose_offer(self.state, self.node.machine, taken=taken)
        if not self.node.held or all(entry.limit is None for entry in self.state.offers):
            return (first,)
        held, claimed = (
            {
                resource: [one.id for one in pool.units if one.unit and self.node.state_of(one.unit) is State.HELD]
                for resource, pool in self.unlimited.of(by).items()
            }
            for by in (By.PLUGIN, By.CLAIM)
        )
        return first, compose_offer(self.state, self.node.machine, held=held, claimed=claimed)

    @cached_property
    def unlimited(self) -> Offer:
        """All that the entries mean."""
        entries = tuple(entry._replace(limit=None) for entry in self.state.offers)
        return compose_offer(self.state._replace(offers=entries), self.node.machine)

    def entry(self, resource: str) -> OfferEntry | None:
        """What declares a resource."""
        return next((entry for entry in self.state.offers if entry.resource == resource), None)

    def limit(self, resource: str) -> int | None:
        """How many units of a resource are offered at most; None: all."""
        entry = self.entry(resource)
        return entry.limit if entry else None

    def state_of(self, unit: Unit, against: Collection[Finding]) -> State:
        """The state of a unit, with what the offer has against it."""
        state = self.node.state_of(unit)
        if state in {State.HELD, State.BLOCKED} or not against:
            return state
        is_doubt = all(one.code == NODE_STATE_DRIFTED.code for one in against)
        return State.UNKNOWN if is_doubt and self._drifted.isdisjoint(unit.functions) else State.BLOCKED

    @cached_property
    def _items(self) -> tuple[Item, ...]:
        return compare(self.state, self.node.machine)

    @cached_property
    def _drifted(self) -> frozenset[PciAddress]:
        """What is seen not to be as declared; settings of VFs are in no snapshot."""
        found = [one for one in self._items if one.device is not None and (one.drift or one.findings)]
        functions = self.node.machine.functions
        pfs = (functions.get(one.device) for one in found if one.device and isinstance(one.entry, VfEntry))
        vfs = (vf for pf in pfs if pf for vf in pf.virtfns)
        return frozenset((*filter(None, (one.device for one in found)), *vfs))

    def remarks(self, resource: str) -> tuple[Finding, ...]:
        """Why a resource is offered otherwise than it is declared."""
        entry = self.entry(resource)
        return tuple(one.finding for one in self.unlimited.remarks if entry and entry.place in one.places)

    def missing_vfs(self) -> tuple[Finding, ...]:
        """PFs that shall have more VFs than they have."""
        short = [
            (one.device, drift)
            for one in self._items
            for drift in one.drift
            if one.device is not None and drift.what == "count" and int(drift.want or 0) > int(drift.have or 0)
        ]
        return tuple(
            NODE_STATE_DRIFTED.found(str(pf), f"has {drift.have or 0} VFs, and shall have {drift.want}", hint=APPLY)
            for pf, drift in short
        )

    def possible(self, resource: str) -> tuple[Unit, ...]:
        """What its entries could mean, each by itself and on whichever driver, and a guest could ever have."""
        entries = [
            entry._replace(match=entry.match._replace(driver=""), limit=None)
            for entry in self.state.offers
            if entry.resource == resource
        ]
        states = [self.state._replace(offers=(entry,), sets=()) for entry in entries]
        found = (units_of(compose_offer(state, self.node.machine), resource) for state in states)
        units = {one.id: one.unit for some in found for one in some if one.unit}
        return tuple(unit for unit in units.values() if not NEVER.intersection(unit.blockers))

    def why_short(self, resource: str) -> Iterator[Finding]:
        """What the node could do about too few units of a resource."""
        yield from self.remarks(resource)
        entry = self.entry(resource)
        there = {one.id for one in units_of(self.unlimited, resource)}
        others = [unit.primary for unit in self.possible(resource) if unit.id not in there]
        if others and entry and entry.match.driver:
            what = f"{entry.place}: of its kind, and not on {entry.match.driver}: {listed(others, 4)}"
            yield NODE_STATE_DRIFTED.found(str(others[0]), what, hint=APPLY)
        yield from self.missing_vfs()


def units_of(offer: Offer, resource: str) -> tuple[OfferedUnit, ...]:
    """The units of a resource that are there, with those that are not listed for what they share."""
    pools = _pools_of(offer, resource)
    return tuple(one for pool in pools for one in (*pool.units, *pool.excluded) if one.unit is not None)


def whole_sets(offer: Offer, resource: str) -> tuple[frozenset[str], ...]:
    """The sets of a resource of which no part may be given alone."""
    return tuple(one.ids for pool in _pools_of(offer, resource) for one in pool.sets if one.is_whole)


def _pools_of(offer: Offer, resource: str) -> list[Pool]:
    return [pool for pool in offer.pools if pool.resource == resource]
