"""From a declared state, a machine and what is held to the offer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.drift import Item, Places, compare, explain_absence, functions_meant
from hostdev.binding.state import By, NodeState, OfferEntry, UnitKind, VfEntry, name_clashes
from hostdev.binding.vfsettings import Readings
from hostdev.findings.device import NOT_AN_ENDPOINT
from hostdev.findings.nodestate import ENTRY_UNMATCHED, NODE_STATE_DRIFTED
from hostdev.findings.offer import OFFER_CONFLICT, UNIT_GONE, UNIT_UNKNOWN, UNIT_WITHDRAWN
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.gate.check import held_elsewhere
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.places import find_primaries, is_id
from hostdev.kubelet.resourcename import variable_name
from hostdev.offer.exclusion import Conflict, find_conflicts
from hostdev.offer.pool import NONE_HELD, NOTHING_TAKEN, Basis, Held, Offer, OfferedUnit, Pool, Remark, Taken
from hostdev.offer.sets import find_sets, with_sets
from hostdev.units.compose import Composer, is_for_guests
from hostdev.units.unit import Unit


def compose_offer(
    state: NodeState,
    machine: Machine,
    *,
    held: Mapping[str, Collection[str]] = NONE_HELD,
    taken: Taken = NOTHING_TAKEN,
    claimed: Mapping[str, Collection[str]] = NONE_HELD,
) -> Offer:
    """Compose what is offered of a machine.

    What a pod or a claim holds stays listed, whatever became of it, and whether its state is as declared or not; what
    none holds is healthy only while it can be given, nothing else has it, and it is as declared. Units of claims are
    listed beside those that share with them: whichever is allocated first excludes the others by its counters.
    """
    return compose_from(Basis(state, machine, _by_resource(held), taken=taken, claimed=_by_resource(claimed)))


def _by_resource(held: Mapping[str, Collection[str]]) -> Held:
    return {resource: frozenset(own) for resource, own in held.items() if own}


def compose_from(basis: Basis) -> Offer:
    """The same, of all that decides about it."""
    composition = _Composition(basis)
    entries = tuple(composition.served(basis.state.offers))
    candidates = composition.candidates(entries)
    drift = dict(find_drift(basis.state, basis.machine, basis.readings))
    found = composition.pools(entries, candidates, drift)
    pools, lacking = with_sets(found, find_sets(composition.places, basis.state.sets))
    return Offer(basis, pools, (*composition.remarks, *lacking))


_NUMBERS = re.compile(r"([0-9]+)")
_HOLDERS = {By.PLUGIN: "a pod holds", By.CLAIM: "a claim holds"}


class _Candidate(NamedTuple):
    """A unit that an entry means, or that is held of a resource."""

    by: By
    resource: str
    place: str
    """Of the entry; empty where none means it any more."""
    unit: Unit
    is_held: bool


class _Composition:
    def __init__(self, basis: Basis) -> None:
        self.remarks: list[Remark] = []
        self._machine = basis.machine
        self._taken = basis.taken
        self._held = {(by, resource): ids for by in By for resource, ids in basis.held_by(by).items()}
        self.places = Places(basis.machine)
        self._composer = Composer(self.places)

    def served(self, entries: Sequence[OfferEntry]) -> Iterator[OfferEntry]:
        """The entries, but for those whose names cannot be told apart."""
        variables = Counter(variable_name(entry.resource) for entry in entries)
        for number, what in name_clashes(entries):
            variable, place = variable_name(entries[number].resource), entries[number].place
            alike = tuple(entry.place for entry in entries if variable_name(entry.resource) == variable)
            self.remarks.append(Remark(alike, OFFER_CONFLICT.found(place, what)))
        for entry in sorted(entries, key=lambda entry: entry.resource):
            if variables[variable_name(entry.resource)] == 1:
                yield entry

    def candidates(self, entries: Iterable[OfferEntry]) -> tuple[_Candidate, ...]:
        """What the entries mean and what is held, in an order that entries have no part in."""
        found: dict[tuple[By, str, str], _Candidate] = {}
        kinds: dict[tuple[By, str], UnitKind | None] = {}
        for entry in entries:
            by, resource = entry.by, entry.resource
            kinds[by, resource] = entry.unit
            held = self._held.get((by, resource), frozenset())
            for unit in self._meant(entry):
                found[by, resource, unit.id] = _Candidate(by, resource, entry.place, unit, unit.id in held)
        for (by, resource), held in self._held.items():
            for unit in self._units_of(held, kinds.get((by, resource))):
                found.setdefault((by, resource, unit.id), _Candidate(by, resource, "", unit, is_held=True))
        return tuple(sorted(found.values(), key=lambda one: (one.unit.primary, one.resource, one.by)))

    def _meant(self, entry: OfferEntry) -> tuple[Unit, ...]:
        there = functions_meant(self.places, entry.match)
        functions = there if entry.match.has_place else filter(is_for_guests, there)
        units = self._composer.units(entry.unit, [function.address for function in functions])
        if not units:
            self.remarks.append(Remark((entry.place,), self._absence(entry, there)))
        return units

    def _absence(self, entry: OfferEntry, there: Sequence[PciFunction]) -> Finding:
        if there and entry.match.has_place:
            return NOT_AN_ENDPOINT.found(str(there[0].address), f"{entry.place}: is a bridge")
        if there:
            named = listed((one.address for one in there), 4)
            hint = "name one by address or path, if it is meant"
            what = f"{entry.place}: {entry.match} means parts of the board alone: {named}"
            return ENTRY_UNMATCHED.found("", what, hint=hint)
        finding, unknown = explain_absence(self.places, entry.place, entry.match)
        return HOST_UNREADABLE.found(entry.place, unknown, severity=Severity.ERROR) if unknown else finding

    def _units_of(self, ids: Collection[str], kind: UnitKind | None) -> tuple[Unit, ...]:
        """The units of ids that are still there, whatever means them now."""
        there = find_primaries(ids, self._machine)
        found = {unit.id: unit for unit in self._composer.units(kind, there.values())}
        # In a larger unit another function may be the primary one.
        parts = self._composer.units(UnitKind.FUNCTION, [there[one] for one in there.keys() - found.keys()])
        return tuple(unit for unit in (*found.values(), *parts) if unit.id in there)

    def pools(
        self, entries: Iterable[OfferEntry], candidates: Sequence[_Candidate], drift: Mapping[PciAddress, str]
    ) -> tuple[Pool, ...]:
        """What is listed of each resource."""
        lost, blocked = self._excluded(candidates)
        listed_: dict[tuple[By, str], list[OfferedUnit]] = {}
        excluded: dict[tuple[By, str], list[OfferedUnit]] = {}
        for number, one in enumerate(candidates):
            table = (excluded if number in lost else listed_).setdefault((one.by, one.resource), [])
            against = (*lost.get(number, ()), *blocked.get(number, ()), *self._in_use(one), *_against(one, drift))
            table.append(OfferedUnit(one.unit.id, one.unit, against, one.is_held))
        declared = {(entry.by, entry.resource): entry for entry in entries}
        return tuple(
            self._pool(key, declared.get(key), listed_.get(key, []), excluded.get(key, []))
            for key in sorted({*declared, *self._held}, key=lambda key: (key[1], key[0]))
        )

    def _in_use(self, one: _Candidate) -> Iterator[Finding]:
        if not one.is_held and not self._beside_taken.isdisjoint(one.unit.functions):
            yield from held_elsewhere(self._machine, one.unit.functions, self._taken)

    @cached_property
    def _beside_taken(self) -> frozenset[PciAddress]:
        """What is held by other means, with what shares its IOMMU groups."""
        held = [one for one in self._taken if isinstance(one, PciAddress)]
        groups = (self._machine.group_of(address) for address in held)
        return frozenset((*held, *(member for group in groups if group for member in group.members)))

    def _pool(
        self, key: tuple[By, str], entry: OfferEntry | None, units: list[OfferedUnit], excluded: list[OfferedUnit]
    ) -> Pool:
        by, resource = key
        there = {one.id for one in units}
        gone = [_gone(by, resource, one) for one in sorted(self._held.get(key, ())) if one not in there]
        kept = _limited(units, entry.limit if entry else None)
        return Pool(resource, entry, (*kept, *gone), tuple(excluded), len(units) - len(kept), by=by)

    def _excluded(
        self, candidates: Sequence[_Candidate]
    ) -> tuple[dict[int, tuple[Finding, ...]], dict[int, tuple[Finding, ...]]]:
        """By number what is not listed, and what is listed as unhealthy while what it shares with is held."""
        lost: dict[int, tuple[Finding, ...]] = {}
        blocked: dict[int, tuple[Finding, ...]] = {}
        told: dict[tuple[str, str], list[Conflict]] = {}
        claimed = [number for number, one in enumerate(candidates) if one.by is By.CLAIM]
        for conflict in find_conflicts(self._machine, [one.unit for one in candidates], claimed):
            first, second = candidates[conflict.first], candidates[conflict.second]
            if first.is_held and second.is_held:
                continue
            if first.is_held or second.is_held:
                loser, holder = (conflict.second, first) if first.is_held else (conflict.first, second)
                what = f"{_HOLDERS[holder.by]} {holder.unit.primary} as {holder.resource}, and {conflict.why}"
                finding = OFFER_CONFLICT.found(str(candidates[loser].unit.primary), what)
                same = candidates[loser].unit.id == holder.unit.id
                (lost if same else blocked).setdefault(loser, (finding,))
                continue
            told.setdefault((first.place, second.place), []).append(conflict)
            for loser in (conflict.first,) if conflict.is_of_pf else (conflict.first, conflict.second):
                finding = OFFER_CONFLICT.found(str(candidates[loser].unit.primary), conflict.why)
                lost.setdefault(loser, (finding,))
        self.remarks += (_conflict(candidates, conflicts) for conflicts in told.values())
        return lost, blocked


def _conflict(candidates: Sequence[_Candidate], conflicts: Sequence[Conflict]) -> Remark:
    """What two entries, or one, mean that cannot be given beside each other."""
    sample = conflicts[0]
    first, second = candidates[sample.first], candidates[sample.second]
    places = listed(dict.fromkeys(f"{one.place} ({one.resource})" for one in (first, second)))
    more = f", and {len(conflicts) - 1} more such pairs" if len(conflicts) > 1 else ""
    units = f"{first.unit.primary} and {second.unit.primary}"
    left = "the PF is not offered" if sample.is_of_pf else "neither is offered"
    what = f"{units} cannot be given beside each other: {sample.why}{more}; {left}"
    severity = Severity.WARNING if sample.is_of_pf else None
    return Remark((first.place, second.place), OFFER_CONFLICT.found(places, what, severity=severity))


def _against(one: _Candidate, drift: Mapping[PciAddress, str]) -> Iterator[Finding]:
    """What is not as it was declared, of what is not held; and what no entry means any more."""
    subject = str(one.unit.primary)
    if not one.place:
        what = f"{_HOLDERS[one.by]} it as {one.resource}, which no entry by {one.by} means any more"
        yield UNIT_WITHDRAWN.found(subject, what)
    yield from drift_against(one.unit, drift, is_held=one.is_held)


def drift_against(unit: Unit, drift: Mapping[PciAddress, str], *, is_held: bool) -> Iterator[Finding]:
    """What is not as it was declared speaks against giving a unit, and not against what has it."""
    for address in unit.functions if not is_held else ():
        if address in drift:
            yield NODE_STATE_DRIFTED.found(str(address), drift[address])


def find_drift(state: NodeState, machine: Machine, readings: Readings) -> Iterator[tuple[PciAddress, str]]:
    """Find by device what is not as the state says; VFs of a PF that is not may be made anew at any time."""
    for item in compare(state, machine, readings):
        if item.device is None or not (item.drift or item.findings or item.unknown or item.unseen):
            continue
        what = f"{item.entry.place}: {_difference(item)}"
        yield item.device, what
        if isinstance(item.entry, VfEntry) and item.device in machine.functions:
            of_pf = f"its PF {item.device} is not as declared: {what}"
            yield from ((vf, of_pf) for vf in machine.functions[item.device].virtfns)


def _difference(item: Item) -> str:
    return listed(
        (
            *(f"{one.what} is {'none' if one.have is None else one.have}, not {one.want}" for one in item.drift),
            *(finding.message for finding in item.findings),
            *([item.unknown] if item.unknown else ()),
            *(f"{one} could not be read" for one in item.unseen),
        ),
        3,
    )


def _gone(by: By, resource: str, id_: str) -> OfferedUnit:
    what = f"{_HOLDERS[by]} it as {resource}, and "
    if is_id(id_) or by is By.CLAIM:
        finding = UNIT_GONE.found(id_, f"{what}it is no longer there")
    else:
        finding = UNIT_UNKNOWN.found(id_, f"{what}the ID was given by another device plugin")
    return OfferedUnit(id_, None, (finding,), is_held=True)


def _limited(units: list[OfferedUnit], limit: int | None) -> tuple[OfferedUnit, ...]:
    """As many as the limit says: what is held, what can be given, and then by ids, which boots do not change."""
    if limit is None or len(units) <= limit:
        return tuple(units)
    order = sorted(units, key=lambda one: (not one.is_held, not one.is_healthy, _natural(one.id)))
    held = sum(one.is_held for one in units)
    kept = {one.id for one in order[: max(limit, held)]}
    return tuple(one for one in units if one.id in kept)


def _natural(id_: str) -> list[tuple[int, str]]:
    """VF 10 comes after VF 9."""
    return [(len(part), part) if part.isdigit() else (0, part) for part in _NUMBERS.split(id_)]
