"""Whether a node can run a VM, and how many of them: yes, never, not now, unknown; each with what says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.state import By, UnitKind
from hostdev.binding.statefile import state_for
from hostdev.findings.fleet import NO_FITTING_DEVICE, NODE_NOT_GIVEN, RESOURCE_UNMAPPED, SNAPSHOT_STALE, TOO_FEW_FREE
from hostdev.findings.hostuse import DEVICE_IN_USE
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.fleet.candidates import MOST_TOLD, Candidate, and_so_with, count_kinds, findings_against
from hostdev.fleet.demand import Demand, Meaning, Want, describe_unknown
from hostdev.fleet.node import NEVER, Node, State
from hostdev.fleet.nodeobject import Objection, objections
from hostdev.fleet.packing import MOST_WANTS, NONE, Bounds, count_vms, count_with_sets, kind_of_unit
from hostdev.fleet.supply import Supply, units_of, whole_sets
from hostdev.gate.check import platform_findings, together_findings
from hostdev.offer.pool import Offer
from hostdev.units.compose import compose_units
from hostdev.units.unit import Unit


class Verdict(StrEnum):
    """The answer for one node."""

    YES = "yes"
    NOT_NOW = "notNow"
    NEVER = "never"
    UNKNOWN = "unknown"


class Answer(NamedTuple):
    """The verdict for a node, and how many such VMs it has room for."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    least: int
    most: int | None
    """None: not known."""


class Asked(NamedTuple):
    """What is asked of every node."""

    demand: Demand
    now: datetime
    max_age: timedelta | None
    nodes: Mapping[str, Mapping[str, Any]]
    """Node objects by name."""
    same_numa: bool = False


def place(node: Node, asked: Asked) -> Answer:
    """Judge one node."""
    return _Placement(node, asked).answer


@dataclass(frozen=True)
class _Placement:
    node: Node
    asked: Asked

    @cached_property
    def answer(self) -> Answer:
        objected = self._objections
        if any(not one.passes for one in objected):
            return Answer(Verdict.NEVER, (*(one.finding for one in objected if not one.passes), *self._notes), 0, 0)
        unknown = describe_unknown(self.asked.demand)
        known, free = self._count(None), self._count({State.READY, State.UNKNOWN})
        ready = self._count({State.READY})
        least, most = ready.least, free.most
        against = tuple(one.finding for one in objected)
        notes = (*(RESOURCE_UNMAPPED.found(self.node.name, one) for one in unknown), *self._notes)
        if known.most == 0:
            return Answer(self._without, (*(tuple(self._missing) or (self._apart,)), *against, *notes), 0, 0)
        doubts = tuple(self._obstacles) if least == 0 else ()
        if self._is_stale:
            return Answer(Verdict.UNKNOWN, (*against, *doubts, *notes), 0, None if unknown else known.most)
        if free.most == 0 or against:
            return Answer(Verdict.NOT_NOW, (*against, *doubts, *notes), 0, 0)
        if unknown or least == 0:
            return Answer(Verdict.UNKNOWN, (*doubts, *notes), 0, None if unknown else most)
        return Answer(Verdict.YES, notes, least, most)

    @property
    def _without(self) -> Verdict:
        """The verdict where there are too few: VFs that can be made may be such devices."""
        wants = zip(self._known_wants, self._there, strict=True)
        lacking = [want for want, there in wants if there < want.quantity]
        if any("/bus/pci/devices" in path for path, _ in self.node.machine.unread):
            return Verdict.UNKNOWN
        if not lacking:
            return Verdict.NEVER
        verdicts = [self._without_one(want) for want in lacking]
        return next(one for one in (Verdict.NEVER, Verdict.UNKNOWN, Verdict.NOT_NOW) if one in verdicts)

    def _without_one(self, want: Want) -> Verdict:
        meaning, supply = want.meaning, self._supply
        if meaning is None:
            return Verdict.NEVER
        if not want.is_offered:
            made = Verdict.NOT_NOW if meaning.are_vfs else Verdict.UNKNOWN
            return made if self._ports(meaning) else Verdict.NEVER
        if supply is None:
            return Verdict.NEVER
        if len(supply.possible(want.name)) >= want.quantity:
            return Verdict.NOT_NOW
        is_unread = any(one.code == HOST_UNREADABLE.code for one in supply.remarks(want.name))
        return Verdict.UNKNOWN if is_unread or supply.missing_vfs() else Verdict.NEVER

    def _ports(self, meaning: Meaning) -> list[PciAddress]:
        """The ports that could have more VFs, of those whose VFs may be meant."""
        functions = self.node.machine.functions
        spare = [one for one in functions.values() if (one.total_vfs or 0) > (one.num_vfs or 0)]
        pairs = [(one, functions.get(one.virtfns[0]) if one.virtfns else None) for one in spare]
        return [pf.address for pf, vf in pairs if meaning.port is not None and meaning.port(pf, vf)]

    @property
    def _known_wants(self) -> tuple[Want, ...]:
        return tuple(want for want in self.asked.demand.wants if want.is_known)

    @cached_property
    def _objections(self) -> tuple[Objection, ...]:
        known = self.asked.nodes.get(self.node.name)
        claimed = {want.name for want in self._known_wants if self._is_claimed(want)}
        return () if known is None else tuple(objections(known, self.asked.demand, claimed))

    @cached_property
    def _notes(self) -> tuple[Finding, ...]:
        """What is to be said of the snapshot, and of what was not looked at."""
        told = tuple(self.node.findings(self.asked.now, self.asked.max_age))
        if self.node.name in self.asked.nodes:
            return told
        return (*told, NODE_NOT_GIVEN.found(self.node.name, "labels, taints, CPU and memory were not looked at"))

    @property
    def _is_stale(self) -> bool:
        return any(one.code == SNAPSHOT_STALE.code for one in self._notes)

    @cached_property
    def _chosen(self) -> tuple[frozenset[PciAddress], ...]:
        """The devices of each want whose meaning is known; of an offer none, which counts units."""
        return tuple(
            w.meaning.choose(self.node) if w.meaning is not None and w.meaning.choose is not None else frozenset()
            for w in self._known_wants
        )

    @cached_property
    def _there(self) -> tuple[int, ...]:
        """How many there are for each of them, in whichever state."""
        return tuple(
            len(units_of(self._supply.unlimited, want.name)) if want.is_offered and self._supply else len(chosen)
            for want, chosen in zip(self._known_wants, self._chosen, strict=True)
        )

    @cached_property
    def _supply(self) -> Supply | None:
        """What is offered; None where no NodeState with such an offer is for the node."""
        states = next((w.meaning.states for w in self._known_wants if w.meaning is not None and w.is_offered), ())
        state = state_for(states, self.node.machine, self.node.name)
        return Supply(self.node, state) if state is not None else None

    @cached_property
    def _need(self) -> tuple[int, ...]:
        return tuple(want.quantity for want in self._known_wants)

    @cached_property
    def _units(self) -> tuple[Candidate, ...]:
        """The units that are wanted, and what they can do."""
        return self._candidates(self._supply.offers[0] if self._supply else None)

    def _candidates(self, offer: Offer | None) -> tuple[Candidate, ...]:
        return (*self._of_functions, *(self._of_offer(offer) if offer else ()))

    @cached_property
    def _of_functions(self) -> tuple[Candidate, ...]:
        """The smallest wholes, or the cards, with a function that is wanted."""
        whole = self.asked.demand.whole_slots
        units = compose_units(self.node.machine, UnitKind.SLOT) if whole else self.node.units
        pairs = ((unit, kind_of_unit([self._fits(one) for one in unit.functions])) for unit in units)
        return tuple(Candidate(unit, kind, self.node.state_of(unit)) for unit, kind in pairs if kind)

    def _of_offer(self, offer: Offer) -> Iterator[Candidate]:
        for number, want in enumerate(self._known_wants):
            for one in units_of(offer, want.name) if want.is_offered else ():
                if one.unit is not None and self._supply is not None:
                    state = self._supply.state_of(one.unit, one.against)
                    yield Candidate(one.unit, (frozenset({number}),), state, one.against, True, self._is_claimed(want))

    def _is_claimed(self, want: Want) -> bool:
        entry = self._supply.entry(want.name) if self._supply else None
        return entry is not None and entry.by is By.CLAIM

    def _fits(self, address: PciAddress) -> frozenset[int]:
        return frozenset(number for number, chosen in enumerate(self._chosen) if address in chosen)

    def _count(self, states: set[State] | None) -> Bounds:
        """How many VMs the units in these states suffice for; without any, those that could ever be given."""
        if not self._need:
            # Nothing that is known is asked of a node's devices.
            return Bounds(1, 1)
        supply = self._supply
        offers = (None,) if supply is None else supply.offers if states else (supply.unlimited,)
        found = [self._count_of(offer, states) for offer in offers]
        bounds = Bounds(min(one.least for one in found), max(one.most for one in found))
        limits = [limit // want.quantity for want, limit in self._limits]
        return bounds if states or not limits else bounds.within(Bounds(min(limits), min(limits)))

    def _count_of(self, offer: Offer | None, states: set[State] | None) -> Bounds:
        kept = [one for one in self._candidates(offer) if _counts(one, states)]
        if len(self._need) > MOST_WANTS:
            # Counting with the first of them alone can only say too much.
            return Bounds(0, count_vms(Counter(one.kind for one in kept), self._need[:MOST_WANTS]).most)
        if not self.asked.same_numa:
            return self._fit(kept, offer)
        places = {one.unit.numa_node for one in kept} - {None}
        total = NONE
        for where in places:
            total += self._fit([one for one in kept if one.unit.numa_node == where], offer)
        if any(one.unit.numa_node is None for one in kept):
            total = Bounds(total.least, self._fit(kept, offer).most)
        return total

    def _fit(self, kept: Sequence[Candidate], offer: Offer | None) -> Bounds:
        certain, possible = count_kinds(kept)
        bounds = Bounds(count_vms(certain, self._need).least, count_vms(possible, self._need).most)
        for number, want in enumerate(self._known_wants):
            sets = whole_sets(offer, want.name) if offer and want.is_offered else ()
            if sets:
                free = [one.unit.id for one in kept if one.kind == (frozenset({number}),)]
                bounds = bounds.within(count_with_sets(free, sets, want.quantity))
        return bounds

    @property
    def _limits(self) -> Iterator[tuple[Want, int]]:
        """What offers keep back."""
        for want in self._known_wants:
            limit = self._supply.limit(want.name) if want.is_offered and self._supply else None
            if limit is not None:
                yield want, limit

    @property
    def _apart(self) -> Finding:
        """Enough devices of each kind, and no way to give them to one VM."""
        limits = [
            f"{want.meaning.by} offers {limit} of {want.name}, and the VM asks for {want.quantity}"
            for want, limit in self._limits
            if want.meaning is not None and limit < want.quantity
        ]
        where = ", on one NUMA node" if self.asked.same_numa else ""
        what = "; ".join(limits) or f"its units cannot be put together so that one VM has all that it asks for{where}"
        return TOO_FEW_FREE.found(self.node.name, what)

    @property
    def _missing(self) -> Iterator[Finding]:
        """Why the node can never do it: too few devices, or what is wrong with them."""
        candidates = self._candidates(self._supply.unlimited if self._supply else None)
        for number, (want, there) in enumerate(zip(self._known_wants, self._there, strict=True)):
            fitting = [one.unit for one in candidates if one.serves(number)]
            if there < want.quantity:
                told = f"{there} of them" if there else "none"
                ports = self._ports(want.meaning) if want.meaning is not None else []
                made = f"; VFs that {listed(list(map(str, ports)), 3)} could have may be such devices" if ports else ""
                message = f"the VM asks for {want.quantity} of {want.name}, and the node has {told}{made}"
                yield NO_FITTING_DEVICE.found(self.node.name, message)
                if want.is_offered and self._supply:
                    yield from self._supply.why_short(want.name)
            else:
                yield from self._told([unit for unit in fitting if NEVER.intersection(unit.blockers)], NEVER)

    @property
    def _obstacles(self) -> Iterator[Finding]:
        """What keeps fitting units from the VM now."""
        by_state = {state: [one for one in self._units if one.state is state] for state in State}
        told = "".join(
            f", {len(by_state[state])} {state}" for state in State if state is not State.READY and by_state[state]
        )
        ready = len(by_state[State.READY])
        message = f"of {len(self._units)} units that fit, {ready} are ready{told}{self._why_not_counted}"
        yield TOO_FEW_FREE.found(self.node.name, message)
        for unit in [one.unit for one in by_state[State.HELD]][:MOST_TOLD]:
            yield DEVICE_IN_USE.found(str(unit.primary), f"something has it open: {self.node.holders_of(unit)[0]}")
        others = (*by_state[State.BLOCKED], *by_state[State.UNKNOWN])
        yield from self._told([one.unit for one in others], None)
        yield from findings_against(others)

    @property
    def _why_not_counted(self) -> str:
        """Why units that are ready may not do."""
        if len(self._need) > MOST_WANTS:
            return f"; more than {MOST_WANTS} resources are not counted together"
        sets = [w.name for w in self._known_wants if self._supply and w.is_offered and self._has_sets(w.name)]
        return f"; of {listed(sets)} sets are given as a whole" if sets else ""

    def _has_sets(self, resource: str) -> bool:
        return bool(self._supply and whole_sets(self._supply.unlimited, resource))

    def _told(self, units: Sequence[Unit], codes: frozenset[str] | None) -> Iterator[Finding]:
        """The gate's findings about units; of many with the same trouble the first ones, and how many more."""
        wanted = {code for unit in units for code in unit.blockers if codes is None or code in codes}
        yield from (one for one in platform_findings(self.node.machine) if one.code in wanted)
        alike: dict[tuple[str, ...], list[Unit]] = {}
        for unit in units:
            alike.setdefault(tuple(code for code in unit.blockers if code in wanted), []).append(unit)
        for same in alike.values():
            findings = [
                found
                for unit in same[:MOST_TOLD]
                for found in together_findings(self.node.machine, unit.functions)
                if found.code in wanted and found.severity is not Severity.INFO
            ]
            yield from dict.fromkeys(and_so_with(findings, len(same) - MOST_TOLD))


def _counts(one: Candidate, states: set[State] | None) -> bool:
    return not NEVER.intersection(one.unit.blockers) if states is None else one.state in states
