"""Which units go to one pod, of those that kubelet has left: near to each other, and in the same order each time."""

from __future__ import annotations

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

    What must be among them is kept. The others are taken where it is, or where there are the fewest that are enough,
    so that a larger request finds room later. What cannot be given, or is not known here, comes last.
    """
    free = frozenset(available)
    kept = dict.fromkeys(one for one in must_include if one in free)
    order = [one for one in pool.units if one.id in free]
    near = [one for one in order if one.id in kept]
    left = [one for one in order if one.id not in kept and one.is_healthy]
    found = dict.fromkeys((*kept, *(one.id for one in _choose(left, near, size - len(kept), _PLACES))))
    rest = (one.id for one in order if not one.is_healthy)
    chosen = list(dict.fromkeys((*found, *rest, *sorted(free))))[: max(size, 0)]
    rank = {one.id: number for number, one in enumerate(order)}
    return tuple(sorted(chosen, key=lambda one: (rank.get(one, len(rank)), one)))


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
