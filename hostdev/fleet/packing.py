"""How many VMs fit into the units of a node: exact where that can be counted, else at least and at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

Fits = frozenset[int]
"""The wants, by their number, that one function fits."""
Kind = tuple[Fits, ...]
"""A unit: its functions that fit anything, in a fixed order."""
Need = tuple[int, ...]
"""How many functions each want takes."""

MOST_WANTS = 9
_STEPS = 60_000
"""A tenth of a second."""
_MOST_UNITS = 400


class Bounds(NamedTuple):
    """A number that is known, or between what it lies."""

    least: int
    most: int

    def __add__(self, other: object) -> Bounds:
        """Of two nodes, or two halves of one."""
        return Bounds(self.least + other.least, self.most + other.most) if isinstance(other, Bounds) else NotImplemented

    def within(self, other: Bounds) -> Bounds:
        """Of one VM that needs both."""
        return Bounds(min(self.least, other.least), min(self.most, other.most))


NONE = Bounds(0, 0)


def kind_of_unit(functions: Sequence[Fits]) -> Kind:
    """A unit by what it can do: units that can do the same are alike."""
    return tuple(sorted((one for one in functions if one), key=sorted))


def count_vms(units: Mapping[Kind, int], need: Need) -> Bounds:
    """Count the VMs that can have such devices at the same time, when no two of them share a unit."""
    units = {kind: count for kind, count in units.items() if kind and count}
    most = _most_by_functions(units, need)
    if not most or all(len(kind) == 1 for kind in units):
        # Functions that go one by one: Hall's theorem says that what no set of wants forbids can be done.
        return Bounds(most, most)
    return _Search(units, need, most).bounds


def _sets(need: Need) -> Iterator[frozenset[int]]:
    wanted = [number for number, count in enumerate(need) if count]
    for size in range(1, len(wanted) + 1):
        yield from map(frozenset, combinations(wanted, size))


def _most_by_functions(units: Mapping[Kind, int], need: Need) -> int:
    """What the functions suffice for, if units could be taken apart."""
    functions: Counter[Fits] = Counter()
    for kind, count in units.items():
        for fits in kind:
            functions[fits] += count
    return min(
        sum(count for fits, count in functions.items() if fits & some) // sum(need[number] for number in some)
        for some in _sets(need)
    )


def count_with_sets(free: Collection[str], sets: Sequence[frozenset[str]], need: int) -> Bounds:
    """Count the VMs that can have so many units each, where of some sets a VM has all or nothing."""
    units = frozenset(free)
    usable = [one for one in dict.fromkeys(sets) if one <= units]
    together, loose = frozenset[str]().union(*usable), len(units.difference(*sets))
    search = _SetSearch(usable, need)
    least = search.best(together, loose)
    return Bounds(least, least if search.is_done else (len(together) + loose) // need)


class _SetSearch:
    """Looks for as many VMs as possible that have whole sets, and units of no set, within a number of steps."""

    def __init__(self, sets: Sequence[frozenset[str]], need: int) -> None:
        self._left = _STEPS
        self._need = need
        unions = {frozenset[str]()}
        for one in sets:
            self._left -= len(unions)
            if self._left <= 0:
                break
            unions |= {both for some in unions if len(both := some | one) <= need}
        self._unions = sorted((one for one in unions if one), key=lambda one: (-len(one), sorted(one)))
        self._known: dict[tuple[frozenset[str], int], int] = {}

    @property
    def is_done(self) -> bool:
        """Whether everything was tried, so that what was found is the most there is."""
        return self._left > 0

    def best(self, units: frozenset[str], loose: int) -> int:
        """The most VMs of these units of sets and so many of none."""
        if (units, loose) not in self._known:
            found, bound = loose // self._need, (len(units) + loose) // self._need
            for one in self._unions:
                self._left -= 1
                if found >= bound or self._left <= 0:
                    break
                if one <= units and self._need - len(one) <= loose:
                    found = max(found, 1 + self.best(units - one, loose - self._need + len(one)))
            self._known[units, loose] = found
        return self._known[units, loose]


class _Search:
    """Looks for as many sets of units as possible, within a number of steps."""

    def __init__(self, units: Mapping[Kind, int], need: Need, most: int) -> None:
        self._kinds = sorted(units, key=lambda kind: (len(kind), sorted(map(sorted, kind))))
        self._need = need
        self._sets = list(_sets(need))
        self._left = _STEPS
        counts = tuple(units[kind] for kind in self._kinds)
        self._known = sorted(self._covers(counts), key=sum)
        least = self._greedy(counts)
        if self._left > 0:
            # No VM does with fewer units than the smallest cover has.
            most = min(most, sum(counts) // sum(self._known[0])) if self._known else 0
            if least < most and sum(counts) <= _MOST_UNITS:
                best = self._best(counts, {})
                least, most = max(least, best), best if self._left > 0 else most
        self.bounds = Bounds(least, most)

    def _covers(self, counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Every choice of units that one VM could have and of which it needs each."""
        size = len(counts)

        def extend(chosen: tuple[int, ...], at: int) -> Iterator[tuple[int, ...]]:
            self._left -= len(self._sets)
            if self._left <= 0:
                return
            if self._suffices(chosen):
                if not any(self._suffices(_less(chosen, number)) for number in range(size) if chosen[number]):
                    yield chosen
                return
            for number in range(at, size):
                if chosen[number] < min(counts[number], sum(self._need)):
                    yield from extend(_more(chosen, number), number)

        yield from extend((0,) * size, 0)

    def _suffices(self, chosen: tuple[int, ...]) -> bool:
        return all(
            sum(
                count * sum(1 for fits in kind if fits & some)
                for kind, count in zip(self._kinds, chosen, strict=True)
                if count
            )
            >= sum(self._need[number] for number in some)
            for some in self._sets
        )

    def _greedy(self, counts: tuple[int, ...]) -> int:
        """Take the smallest cover that is left, again and again."""
        found = 0
        for cover in self._known:
            while (left := _left_of(counts, cover)) is not None:
                counts = left
                found += 1
        return found

    def _best(self, counts: tuple[int, ...], known: dict[tuple[int, ...], int]) -> int:
        if counts not in known:
            self._left -= len(self._known)
            if self._left <= 0:
                return 0
            left = (_left_of(counts, cover) for cover in self._known)
            known[counts] = max((1 + self._best(one, known) for one in left if one is not None), default=0)
        return known[counts]


def _left_of(counts: tuple[int, ...], cover: tuple[int, ...]) -> tuple[int, ...] | None:
    """What is there without a cover; None where it is not there."""
    left = tuple(have - take for have, take in zip(counts, cover, strict=True))
    return None if min(left) < 0 else left


def _more(chosen: tuple[int, ...], number: int) -> tuple[int, ...]:
    return (*chosen[:number], chosen[number] + 1, *chosen[number + 1 :])


def _less(chosen: tuple[int, ...], number: int) -> tuple[int, ...]:
    return (*chosen[:number], chosen[number] - 1, *chosen[number + 1 :])
