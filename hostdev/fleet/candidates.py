"""The units that a VM may want: those of an offer, and the smallest wholes in which what else is wanted is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from domxml.finding import Finding
from hostdev.findings.nodestate import NODE_STATE_DRIFTED
from hostdev.fleet.node import State
from hostdev.fleet.packing import Kind
from hostdev.fleet.supply import APPLY
from hostdev.offer.exclusion import owners_of
from hostdev.units.unit import Unit

MOST_TOLD = 4
"""Units with one and the same trouble that get a finding of their own."""


class Candidate(NamedTuple):
    """A unit that a VM may want, and what for."""

    unit: Unit
    kind: Kind
    state: State
    against: tuple[Finding, ...] = ()
    """What its offer has against it."""
    is_offered: bool = False
    """It is of an offer, and counts as one whatever is in it."""
    is_claimed: bool = False
    """It is offered by claim, beside what it excludes."""

    def serves(self, want: int) -> bool:
        """Whether it is of a want, by its number."""
        return any(want in fits for fits in self.kind)

    def overlaps(self, other: Candidate) -> bool:
        """Whether only one of them can be given."""
        return not (
            frozenset(self.unit.functions).isdisjoint(other.unit.functions)
            and frozenset(self.unit.groups).isdisjoint(other.unit.groups)
        )


def count_kinds(units: Sequence[Candidate]) -> tuple[Mapping[Kind, int], Mapping[Kind, int]]:
    """Kinds of units that a VM has for certain, and those that it has at most.

    Where two plugins offer one device, either may give it away, and which of them does is not known.
    """
    together, at_most = _split_exclusive(units)
    return _count_certain(together), _count_possible(at_most)


def _count_certain(units: Sequence[Candidate]) -> Mapping[Kind, int]:
    shared = {one.unit.id for one, _ in _shared(units)}
    return Counter(one.kind for one in units if one.is_offered or one.unit.id not in shared)


def _count_possible(units: Sequence[Candidate]) -> Mapping[Kind, int]:
    pairs = _shared(units)
    taken = {mine.unit.id for _, mine in pairs}
    found = Counter(one.kind for one in units if one.is_offered and one.unit.id not in taken)
    for one in units:
        if not one.is_offered:
            also = frozenset[int]().union(*(fits for it, mine in pairs if it is one for fits in mine.kind))
            found[tuple(fits | also for fits in one.kind)] += 1
    return found


def _shared(units: Sequence[Candidate]) -> list[tuple[Candidate, Candidate]]:
    """What is not of an offer, with each unit of an offer that it shares something with."""
    offered = [one for one in units if one.is_offered]
    others = [one for one in units if not one.is_offered]
    return [(one, mine) for one in others for mine in offered if one.overlaps(mine)]


def _split_exclusive(units: Sequence[Candidate]) -> tuple[Sequence[Candidate], Sequence[Candidate]]:
    """Units that go together, and those that there are at most: of claims that share a device one stands for all."""
    claimed = sorted((one for one in units if one.is_claimed), key=lambda one: len(one.unit.functions))
    owners = owners_of([one.unit for one in claimed])
    if all(len(numbers) == 1 for numbers in owners.values()):
        return units, units
    rest = [one for one in units if not one.is_claimed]
    together, at_most, merged, taken = list(rest), list(rest), set[int](), set[object]()
    for one in claimed:
        if taken.isdisjoint(keys := {*one.unit.functions, *one.unit.groups}):
            taken |= keys
            together.append(one)
    for numbers in sorted(owners.values(), key=len, reverse=True):
        if some := [claimed[number] for number in numbers if number not in merged]:
            merged.update(numbers)
            fits = frozenset[int]().union(*(fits for one in some for fits in one.kind))
            at_most.append(some[0]._replace(kind=(fits,)))
    return together, at_most


def findings_against(units: Iterable[Candidate]) -> Iterator[Finding]:
    """What offers have against units, the first few of each code."""
    by_code: dict[str, dict[Finding, None]] = {}
    for one in units:
        for found in one.against:
            by_code.setdefault(found.code, {})[found] = None
    for code, findings in by_code.items():
        first = and_so_with(list(findings)[:MOST_TOLD], len(findings) - MOST_TOLD)
        yield from (one._replace(hint=APPLY) if code == NODE_STATE_DRIFTED.code else one for one in first)


def and_so_with(findings: list[Finding], more: int) -> list[Finding]:
    """Findings of which the last one says of how many more units it is true as well."""
    if more <= 0 or not findings:
        return findings
    last = findings[-1]
    return [*findings[:-1], last._replace(message=f"{last.message} (and so with {more} more)")]
