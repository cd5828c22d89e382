"""Sets of units: which units of a pool belong to one, and what of a set a pod was given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.drift import Places, explain_absence, functions_meant
from hostdev.binding.state import Match, UnitSet
from hostdev.findings.offer import SET_BROKEN, SET_INCOMPLETE
from hostdev.offer.pool import Pool, PoolSet, Remark


class FoundSet(NamedTuple):
    """A set, and where its functions are."""

    declared: UnitSet
    functions: tuple[PciAddress, ...]
    absent: tuple[Finding, ...] = ()


def find_sets(places: Places, sets: Iterable[UnitSet]) -> tuple[FoundSet, ...]:
    """Find the functions of sets, and say which are not there."""
    return tuple(_find(places, one) for one in sets)


def _find(places: Places, declared: UnitSet) -> FoundSet:
    found = {match: functions_meant(places, match) for match in declared.functions}
    absent = tuple(_absence(places, declared, [match for match, here in found.items() if not here]))
    return FoundSet(declared, tuple(one.address for here in found.values() for one in here), absent)


def _absence(places: Places, declared: UnitSet, missing: Sequence[Match]) -> Iterator[Finding]:
    if missing:
        finding, unknown = explain_absence(places, declared.name, missing[0])
        about = f"{finding.subject}: " if finding.subject and not missing[0].address else ""
        more = f", and {len(missing) - 1} more of it are not there" if len(missing) > 1 else ""
        yield SET_INCOMPLETE.found(declared.place, unknown or f"{about}{finding.message}{more}")


def with_sets(pools: Sequence[Pool], found: Sequence[FoundSet]) -> tuple[tuple[Pool, ...], tuple[Remark, ...]]:
    """Give pools the sets that are whole on this machine, and say of the others what they lack."""
    owners: dict[PciAddress, dict[int, str]] = {}
    for number, pool in enumerate(pools if found else ()):
        for address, id_ in _ids(pool):
            owners.setdefault(address, {})[number] = id_
    remarks: list[Remark] = []
    by_pool: dict[int, list[PoolSet]] = {}
    for one in found:
        lacking = (*one.absent, *_not_offered(one, owners))
        remarks += (Remark((one.declared.place,), finding) for finding in lacking)
        if not lacking:
            for number in dict.fromkeys(number for address in one.functions for number in owners[address]):
                ids = frozenset(owners[a][number] for a in one.functions if number in owners[a])
                by_pool.setdefault(number, []).append(PoolSet(one.declared.name, ids, one.declared.is_whole))
    kept = (replace(pool, sets=tuple(by_pool.get(number, ()))) for number, pool in enumerate(pools))
    return tuple(kept), tuple(remarks)


def _ids(pool: Pool) -> Iterator[tuple[PciAddress, str]]:
    for one in pool.units:
        for address in one.unit.functions if one.unit else ():
            yield address, one.id


def _not_offered(one: FoundSet, owners: Mapping[PciAddress, object]) -> Iterator[Finding]:
    missing = [address for address in one.functions if address not in owners]
    if missing:
        what = f"{one.declared.name}: no resource offers {listed(missing, 4)}"
        yield SET_INCOMPLETE.found(one.declared.place, what, severity=Severity.WARNING)


def broken_sets(pool: Pool, ids: Collection[str]) -> Iterator[Finding]:
    """What a pod was given of sets that go as a whole, where it is none of them."""
    given = frozenset(ids)
    whole = [one for one in pool.sets if one.is_whole]
    kept = frozenset[str]().union(*(one.ids for one in whole if one.ids <= given))
    loose = sorted(id_ for id_ in given - kept if any(id_ in one.ids for one in whole))
    if loose:
        others = [one.name for one in whole if _is_free(pool, one, given) and len(one.ids) == len(given)]
        free = f"free are {listed(others, 4)}" if others else f"no set of {len(given)} is free"
        parts = listed((one.name for one in whole if not one.ids.isdisjoint(loose)), 4)
        names = listed((_primary(pool, id_) for id_ in loose), 4)
        yield SET_BROKEN.found(pool.resource, f"{names} is given without the rest of {parts}; {free}")


def _is_free(pool: Pool, one: PoolSet, given: Collection[str]) -> bool:
    units = [pool.by_id[id_] for id_ in one.ids if id_ in pool.by_id]
    return all(unit.is_healthy and (not unit.is_held or unit.id in given) for unit in units)


def _primary(pool: Pool, id_: str) -> str:
    unit = pool.by_id[id_].unit
    return str(unit.primary) if unit else id_
