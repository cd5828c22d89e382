"""Which units go to one pod, of those that kubelet has left: sets as a whole, then what is near to each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

from hostdev.offer.pool import OfferedUnit, Pool

Place = Callable[[OfferedUnit], object]
_PLACES: tuple[Place, ...] = (
    lambda one: one.numa_node,
    lambda one: one.unit.root if one.unit else "",
)
"""What units are near to each other by: the wider place first."""


def prefer_units(pool: Pool, available: Collection[str], must_include: Collection[str], size: int) -> tuple[str, ...]:
    """Choose units for a pod, and nothing that is not available.

    What must be among them is kept. The others are whole sets, and units of no set that is left whole; these where
    the pod has some already, or where there are the fewest that are enough, so that a larger request finds room later.
    What cannot be given, or is not known here, comes last.
    """
    free = frozenset(available)
    order = [one for one in pool.units if one.id in free]
    usable = [one for one in order if one.is_healthy]
    found = dict.fromkeys(one for one in must_include if one in free)
    sets = [one.ids for one in pool.sets if one.ids <= {unit.id for unit in usable}]
    found |= dict.fromkeys(_whole_sets(sets, frozenset(found), size, [one.id for one in order]))
    while len(found) < size:
        missed, units = _least_missed(usable, sets, found)
        if not units:
            break
        near = [one for one in order if one.id in found]
        # What is taken out of a set leaves others that no set needs any more.
        count = 1 if missed else size - len(found)
        found |= dict.fromkeys(one.id for one in _choose(units, near, count, _PLACES))
    rest = (one.id for one in order if not one.is_healthy)
    chosen = list(dict.fromkeys((*found, *rest, *sorted(free))))[: max(size, 0)]
    rank = {one.id: number for number, one in enumerate(order)}
    return tuple(sorted(chosen, key=lambda one: (rank.get(one, len(rank)), one)))


def _whole_sets(
    sets: Sequence[frozenset[str]], kept: frozenset[str], size: int, order: Sequence[str]
) -> frozenset[str]:
    """What is kept, with as many whole sets as there is room for."""
    rank = {id_: number for number, id_ in enumerate(order)}

    def preference(one: frozenset[str]) -> tuple[bool, int, int, int, list[int]]:
        """What fits exactly, has what is kept, is large, and breaks the fewest others; then by order."""
        chosen = one | kept
        broken = sum(not other.isdisjoint(one) and not other <= chosen for other in sets)
        return len(chosen) != size, -len(one & kept), -len(one), broken, sorted(rank[id_] for id_ in one)

    while fitting := [one for one in sets if not one <= kept and len(one | kept) <= size]:
        best: frozenset[str] = min(fitting, key=preference)
        kept |= best
    return kept


def _least_missed(
    units: Sequence[OfferedUnit], sets: Sequence[frozenset[str]], found: Collection[str]
) -> tuple[int, list[OfferedUnit]]:
    """Of the units that are left those that are in the fewest sets which are still whole, and in how many."""
    whole = [ids for ids in sets if ids.isdisjoint(found)]
    missed = Counter(id_ for ids in whole for id_ in ids)
    left = [one for one in units if one.id not in found]
    least = min((missed[one.id] for one in left), default=0)
    return least, [one for one in left if missed[one.id] == least]


def _choose(
    units: Sequence[OfferedUnit], near: Sequence[OfferedUnit], size: int, places: Sequence[Place]
) -> Iterator[OfferedUnit]:
    if not places:
        yield from units[: max(size, 0)]
        return
    place, *narrower = places
    wanted = {place(one) for one in near}
    groups: dict[object, list[OfferedUnit]] = {}
    for one in units:
        groups.setdefault(place(one), []).append(one)

    def preference(where: object) -> tuple[bool, bool, int]:
        """Where the pod has units already, then the smallest that is enough, then the largest."""
        count = len(groups[where])
        return where not in wanted, count < size, count if count >= size else -count

    for where in sorted(groups, key=preference):
        if size > 0:
            yield from _choose(groups[where], near, min(size, len(groups[where])), narrower)
            size -= len(groups[where])
