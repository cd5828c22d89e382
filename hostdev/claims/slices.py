"""From an inventory, and the ResourceSlices that are there, to the steps between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain, count
from typing import Any, NamedTuple

from hostdev.claims.devices import Device, Inventory
from hostdev.kubevirt.spec import get_list, get_map, get_text
from hostdev.printing.documents import Document

API_VERSION, KIND = "resource.k8s.io/v1", "ResourceSlice"
MOST_DEVICES, MOST_COUNTING, MOST_SETS = 128, 64, 8
"""Of a slice: devices, devices where one of them takes of counters, and sets of counters."""
_LONGEST_BASE = 220
_SPARSE = 2
"""With so many times the slices that are needed, devices are dealt out anew."""


class Owner(NamedTuple):
    """The node, which slices go with."""

    name: str
    uid: str


class Create(NamedTuple):
    """Make an object."""

    object: Document


class Update(NamedTuple):
    """Put an object in the place of the one of its name, if that is still of its version."""

    object: Document


class Delete(NamedTuple):
    """Take an object away, if it is still this one."""

    name: str
    uid: str
    version: str


Step = Create | Update | Delete


class SlicePlan(NamedTuple):
    """Steps in their order. After any of them the pool is what it was, what it shall be, or not complete."""

    steps: tuple[Step, ...]
    generation: int
    """Of the pool, once they are done."""


class _Kind(NamedTuple):
    """Slices of one kind: how they are called, and how many entries they hold."""

    word: str
    most: int


_PLAIN = _Kind("devices", MOST_DEVICES)
_COUNTING = _Kind("sharing", MOST_COUNTING)
_COUNTERS = _Kind("counters", MOST_SETS)


def plan_slices(inventory: Inventory, live: Sequence[Mapping[str, Any]], owner: Owner, driver: str) -> SlicePlan:
    """Plan what makes slices of an inventory: of those of this node and driver alone, whatever else is there.

    One slice that changes is written where it is. Otherwise all are written in a new generation, of which the API
    takes nothing before it is complete; what a crash left of one is completed where it is right as far as it got.
    """
    return _Planning(inventory, live, owner, driver).plan()


class _Planning:
    def __init__(self, inventory: Inventory, live: Sequence[Mapping[str, Any]], owner: Owner, driver: str) -> None:
        self._owner, self._driver = owner, driver
        mine = [one for one in live if get_text(one, "spec", "driver") == driver]
        self._live = {
            get_text(one, "metadata", "name"): one for one in mine if get_text(one, "spec", "nodeName") == owner.name
        }
        self._in_pool = {
            name: one for name, one in self._live.items() if get_text(one, "spec", "pool", "name") == owner.name
        }
        self._newest = max((_generation(one) for one in self._in_pool.values()), default=0)
        self._current = {name: one for name, one in self._in_pool.items() if _generation(one) == self._newest}
        self._is_complete = all(_slice_count(one) == len(self._current) for one in self._current.values())
        self._base = _base(owner.name, driver)
        self._content = dict(self._contents(inventory))

    def plan(self) -> SlicePlan:
        wrong = {name for name in self._current if not self._is_right(name)}
        missing = self._content.keys() - self._current.keys()
        if not wrong:
            due, generation = missing, self._newest if self._current else 1
        elif len(wrong) == 1 and not missing and wrong <= self._content.keys() and self._counts(*wrong):
            due, generation = wrong, self._newest
        else:
            due, generation = {*self._content}, self._newest + 1
        return SlicePlan(tuple(self._steps(due, generation)), generation)

    def _steps(self, due: Iterable[str], generation: int) -> Iterator[Step]:
        """Slices of another pool, whose name is needed, give way first; what is not needed goes last."""
        names = [name for name in self._content if name in due]
        in_the_way = [name for name in names if name in self._live and name not in self._in_pool]
        yield from map(self._delete, in_the_way)
        for name in names:
            made = self._object(name, generation)
            yield Update(made) if name in self._in_pool else Create(made)
        yield from (self._delete(name) for name in sorted(self._live.keys() - self._content.keys()))

    def _delete(self, name: str) -> Delete:
        here = self._live[name]
        return Delete(name, get_text(here, "metadata", "uid"), get_text(here, "metadata", "resourceVersion"))

    def _object(self, name: str, generation: int) -> Document:
        metadata: Document = {"name": name, "ownerReferences": self._owners}
        if name in self._in_pool:
            # What others have written on it stays.
            there = get_map(self._in_pool[name], "metadata")
            kept = ("uid", "resourceVersion", "labels", "annotations", "finalizers")
            metadata |= {key: there[key] for key in kept if key in there}
        pool = {"name": self._owner.name, "generation": generation, "resourceSliceCount": len(self._content)}
        spec = {"driver": self._driver, "nodeName": self._owner.name, "pool": pool, **self._content[name]}
        return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}

    @property
    def _owners(self) -> list[Document]:
        return [
            {"apiVersion": "v1", "kind": "Node", "name": self._owner.name, "uid": self._owner.uid, "controller": True}
        ]

    def _is_right(self, name: str) -> bool:
        here = self._in_pool[name]
        spec = get_map(here, "spec")
        content = {key: spec[key] for key in ("devices", "sharedCounters") if spec.get(key)}
        return (
            content == self._content.get(name)
            and self._counts(name)
            and get_map(here, "metadata").get("ownerReferences") == self._owners
        )

    def _counts(self, name: str) -> bool:
        """Whether it says of how many slices the pool is, as it shall be."""
        return _slice_count(self._in_pool[name]) == len(self._content)

    def _contents(self, inventory: Inventory) -> Iterator[tuple[str, Document]]:
        """Counters first: their answer tells whether the API server keeps any, before a device is listed."""
        sets = [one.as_json() for one in inventory.counter_sets]
        for number in range(0, len(sets), MOST_SETS):
            name = self._name(_COUNTERS, number // MOST_SETS)
            yield name, {"sharedCounters": sets[number : number + MOST_SETS]}
        for kind in (_PLAIN, _COUNTING):
            devices = [one for one in inventory.devices if bool(one.consumes) is (kind is _COUNTING)]
            for name, mine in self._dealt(kind, devices).items():
                yield name, {"devices": [one.as_json() for one in mine]}

    def _dealt(self, kind: _Kind, devices: Sequence[Device]) -> dict[str, list[Device]]:
        """Devices stay in the slices in which they are; others take the first room that there is."""
        places = self._places(kind)
        if len(set(places.values())) > _SPARSE * -(-len(devices) // kind.most):
            places = {}
        dealt: dict[int, list[Device]] = {}
        homeless = []
        for one in devices:
            number = places.get(one.name)
            if number is None or len(dealt.setdefault(number, [])) >= kind.most:
                homeless.append(one)
            else:
                dealt[number].append(one)
        used = sorted(dealt)
        # Where slices are missing they are made again, and the others need no change.
        rooms = chain(used if self._is_complete else (), (number for number in count() if number not in used))
        number = next(rooms)
        for one in homeless:
            while len(dealt.setdefault(number, [])) >= kind.most:
                number = next(rooms)
            dealt[number].append(one)
        order = {one.name: place for place, one in enumerate(devices)}
        return {
            self._name(kind, number): sorted(mine, key=lambda one: order[one.name])
            for number, mine in sorted(dealt.items())
        }

    def _places(self, kind: _Kind) -> dict[str, int]:
        """The number of the slice in which a device is; of several generations by the newest."""
        places: dict[str, int] = {}
        start = self._name(kind, "")
        for name, one in sorted(self._in_pool.items(), key=lambda pair: _generation(pair[1])):
            number = name.removeprefix(start)
            if name.startswith(start) and number.isdecimal() and str(int(number)) == number:
                places |= {get_text(device, "name"): int(number) for device in get_list(one, "spec", "devices")}
        return places

    def _name(self, kind: _Kind, number: int | str) -> str:
        return f"{self._base}-{kind.word}-{number}"


def _generation(one: Mapping[str, Any]) -> int:
    found = get_map(one, "spec", "pool").get("generation")
    return found if isinstance(found, int) else 0


def _slice_count(one: Mapping[str, Any]) -> object:
    return get_map(one, "spec", "pool").get("resourceSliceCount")


def _base(node: str, driver: str) -> str:
    """What the names of a node's slices begin with: found again after a crash, and of no other node."""
    base = f"{node}-{driver}"
    if len(base) <= _LONGEST_BASE and base == base.lower():
        return base
    hashed = sha256(base.encode()).hexdigest()[:8]
    return f"{base.lower()[: _LONGEST_BASE - len(hashed) - 1].rstrip('.-')}-{hashed}"
