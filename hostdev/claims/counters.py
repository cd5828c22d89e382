"""Shared counters: units that exclude each other take more of a counter than it holds for both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.findings.offer import OFFER_CONFLICT
from hostdev.inventory.machine import Machine
from hostdev.offer.exclusion import owners_of
from hostdev.printing.documents import Document
from hostdev.units.unit import Unit

MOST_COUNTERS = 32
"""In a set. A device takes from two sets at most."""


class Claimable(NamedTuple):
    """A unit that claims may be given, under the name of its device."""

    name: str
    resource: str
    unit: Unit
    is_held: bool
    is_healthy: bool


class Exclusion(NamedTuple):
    """Units by their numbers: one of the wholes and nothing else, or any of the parts."""

    name: str
    wholes: frozenset[int]
    parts: frozenset[int] = frozenset()

    @property
    def value(self) -> int:
        """What its counter holds: a whole takes all of it, and a part 1."""
        return max(len(self.parts), 1)

    @property
    def units(self) -> frozenset[int]:
        return self.wholes | self.parts

    def covers(self, other: Exclusion) -> bool:
        """Whether no two of the other's wholes go together by this one already."""
        return other.wholes <= self.units and len(other.wholes & self.parts) <= 1

    def without(self, unit: int) -> Exclusion:
        return self._replace(wholes=self.wholes - {unit}, parts=self.parts - {unit})

    @property
    def matters(self) -> bool:
        return bool(self.wholes) and len(self.units) > 1


class CounterSet(NamedTuple):
    """Counters by their names."""

    name: str
    counters: Mapping[str, int]

    def as_json(self) -> Document:
        """As an entry of `spec.sharedCounters`."""
        return {"name": self.name, "counters": _as_json(self.counters)}


class Consumption(NamedTuple):
    """What a device takes of the counters of one set."""

    counter_set: str
    counters: Mapping[str, int]

    def as_json(self) -> Document:
        """As an entry of `consumesCounters`."""
        return {"counterSet": self.counter_set, "counters": _as_json(self.counters)}


def _as_json(counters: Mapping[str, int]) -> Document:
    return {name: {"value": str(value)} for name, value in counters.items()}


class Counters(NamedTuple):
    """Sets of counters, by device what it takes of them, and the devices that none could be made for."""

    sets: tuple[CounterSet, ...]
    consumed: Mapping[str, tuple[Consumption, ...]]
    left_out: Mapping[str, Finding]


def count_exclusions(machine: Machine, units: Sequence[Claimable]) -> Counters:
    """Make counters, so that any devices whose counters suffice can be given beside each other, and no others."""
    bundles: list[list[Exclusion]] = []
    left_out: dict[str, Finding] = {}
    due = list(_components(find_exclusions(machine, [one.unit for one in units])))
    for component in due:
        found = _bundles(component)
        if found is not None:
            bundles += found
            continue
        number = _most_entangled(component, units)
        what = f"is not listed as {units[number].resource}: the API has too few counters for all that shares with it"
        left_out[units[number].name] = OFFER_CONFLICT.found(str(units[number].unit.primary), what)
        due += _components(kept for one in component if (kept := one.without(number)).matters)
    return _counters(_packed(bundles), units)._replace(left_out=left_out)


def leave_out_excluded(machine: Machine, units: Sequence[Claimable]) -> Mapping[str, Finding]:
    """Leave of units that exclude each other one in, where nothing counts them: what is held, else what is least."""
    exclusions = list(find_exclusions(machine, [one.unit for one in units]))
    mine = _by_unit(exclusions)
    kept: set[int] = set()
    left_out: dict[str, Finding] = {}
    for number in sorted(mine, key=lambda number: _precedence(units[number], number)):
        others = [one.units if number in one.wholes else one.wholes for one in mine[number]]
        against = kept & frozenset().union(*others)
        if against and not units[number].is_held:
            other = units[min(against)]
            what = f"is not listed as {units[number].resource}: {other.unit.primary} is, as {other.resource}, and "
            what += "the API server keeps no counters that would keep the two apart"
            left_out[units[number].name] = OFFER_CONFLICT.found(str(units[number].unit.primary), what)
        else:
            kept.add(number)
    return left_out


def _precedence(one: Claimable, number: int) -> tuple[bool, bool, int, int]:
    return not one.is_held, not one.is_healthy, len(one.unit.functions), number


def find_exclusions(machine: Machine, units: Sequence[Unit]) -> Iterator[Exclusion]:
    """Find what only one of several units can have: a function, an IOMMU group, a PF that its VFs go with."""
    owners = owners_of(units)
    vfs: dict[PciAddress, set[int]] = {}
    for number, unit in enumerate(units):
        for address in unit.functions:
            pf = machine.functions[address].physfn
            if pf is not None and pf in owners:
                vfs.setdefault(pf, set()).add(number)
    found = {frozenset(numbers): _name(key) for key, numbers in owners.items() if len(numbers) > 1}
    of_pfs = [Exclusion(f"vfs-of-{_name(pf)}", frozenset(owners[pf]), frozenset(vfs[pf]) - {*owners[pf]}) for pf in vfs]
    every = [*(Exclusion(name, wholes) for wholes, name in found.items()), *(one for one in of_pfs if one.parts)]
    by_unit = _by_unit(every)
    for one in every:
        rarest = min(one.units, key=lambda number: (len(by_unit[number]), number))
        if one.parts or not any(other is not one and other.covers(one) for other in by_unit[rarest]):
            yield one


def _name(key: PciAddress | int) -> str:
    return f"group-{key}" if isinstance(key, int) else str(key).replace(":", "-").replace(".", "-")


def _by_unit(exclusions: Iterable[Exclusion]) -> dict[int, list[Exclusion]]:
    found: dict[int, list[Exclusion]] = {}
    for one in exclusions:
        for number in one.units:
            found.setdefault(number, []).append(one)
    return found


def _components(exclusions: Iterable[Exclusion]) -> Iterator[list[Exclusion]]:
    """Those that have units in common, in the order of their first units."""
    every = sorted(exclusions, key=lambda one: (min(one.units), one.name))
    by_unit = _by_unit(every)
    done: set[str] = set()
    for first in every:
        found, due = [], [first]
        while due:
            one = due.pop()
            if one.name not in done:
                done.add(one.name)
                found.append(one)
                due += (other for number in one.units for other in by_unit.pop(number, ()))
        if found:
            yield sorted(found, key=lambda one: (min(one.units), one.name))


def _bundles(component: list[Exclusion]) -> list[list[Exclusion]] | None:
    """Exclusions that go into one set each, so that no unit is in more than two; None where there is no such way."""
    fewer = _with_stars(component)
    if len(fewer) <= MOST_COUNTERS:
        return [fewer]
    widest = sorted(fewer, key=lambda one: (-len(one.units), one.name))
    for count in range(MOST_COUNTERS + 1):
        rest = list(_components(widest[count:]))
        if all(len(one) <= MOST_COUNTERS for one in rest):
            return [widest[:count], *rest] if count else rest
    return None


def _with_stars(component: list[Exclusion]) -> list[Exclusion]:
    """The same; of too many, a unit that shares one thing with each of many has one counter for them all."""
    while len(component) > MOST_COUNTERS:
        pairs = Counter(number for one in component if not one.parts and len(one.wholes) == 2 for number in one.wholes)
        hub, count = min(pairs.items(), key=lambda pair: (-pair[1], pair[0]), default=(0, 0))
        if count < 2:
            break
        mine = [one for one in component if not one.parts and hub in one.wholes]
        star = Exclusion(f"unit-{hub}", frozenset({hub}), frozenset().union(*(o.wholes for o in mine)) - {hub})
        rest = (one.without(hub) if one in mine else one for one in component)
        component = [star, *(one for one in rest if one.matters)]
    return component


def _most_entangled(component: Sequence[Exclusion], units: Sequence[Claimable]) -> int:
    by_unit = _by_unit(component)
    return min(by_unit, key=lambda number: (units[number].is_held, -len(by_unit[number]), number))


def _packed(bundles: Iterable[list[Exclusion]]) -> Iterator[list[Exclusion]]:
    """Small ones go into one set together."""
    packed: list[Exclusion] = []
    for bundle in bundles:
        if len(packed) + len(bundle) > MOST_COUNTERS:
            yield packed
            packed = []
        packed = [*packed, *bundle]
    if packed:
        yield packed


def _counters(sets: Iterable[Sequence[Exclusion]], units: Sequence[Claimable]) -> Counters:
    consumed: dict[str, list[Consumption]] = {}
    made = []
    for number, exclusions in enumerate(sets):
        name = f"exclusive-{number}"
        of_set: dict[str, dict[str, int]] = {}
        for one in exclusions:
            for unit in sorted(one.units):
                of_set.setdefault(units[unit].name, {})[one.name] = one.value if unit in one.wholes else 1
        made.append(CounterSet(name, {one.name: one.value for one in exclusions}))
        for device, counters in of_set.items():
            consumed.setdefault(device, []).append(Consumption(name, counters))
    return Counters(tuple(made), {device: tuple(every) for device, every in consumed.items()}, {})
