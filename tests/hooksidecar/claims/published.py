"""Inventories by name alone, and what a scheduler sees of them: attributes are not the publisher's concern."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from hostdev.claims.devices import Inventory
from tests.apiserver.pools import every_device, is_complete, newest
from tests.apiserver.server import ApiServerDouble
from tests.apiserver.storage import Object

NODE = "a"


class Entry(NamedTuple):
    """What a slice lists: a device, or a set of counters."""

    name: str
    consumes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the API takes it."""
        used = [{"counterSet": name, "counters": {"whole": {"value": "1"}}} for name in self.consumes]
        return {"name": self.name} | ({"consumesCounters": used} if used else {})


class CounterSet(NamedTuple):
    """A set with one counter."""

    name: str

    def as_json(self) -> dict[str, Any]:
        """As the API takes it."""
        return {"name": self.name, "counters": {"whole": {"value": "1"}}}


def inventory(*names: str, sets: tuple[str, ...] = (), consumes: tuple[str, ...] = ()) -> Inventory:
    """Devices by name alone: what an attribute says is not the publisher's concern."""
    made = SimpleNamespace(
        devices=tuple(Entry(name, consumes) for name in names), counter_sets=tuple(map(CounterSet, sets))
    )
    return cast("Inventory", made)


def published(double: ApiServerDouble) -> set[str]:
    """The devices that a scheduler sees."""
    return devices_of(double.storage.select("resourceslices", lambda one: bool(one["spec"].get("nodeName") == NODE)))


def devices_of(slices: Iterable[Object]) -> set[str]:
    """Those of the newest generation, where it is complete."""
    slices = newest(slices)
    names = [device["name"] for device in every_device(slices)]
    assert len(names) == len(set(names)), "a device is in two live slices"
    return set(names) if is_complete(slices) else set()


def assert_no_lies(double: ApiServerDouble, since: int, inventories: list[set[str]]) -> None:
    """In no moment a scheduler saw anything but one of these, or nothing."""
    live: dict[str, Object] = {}
    for change in double.storage.changes("resourceslices", since):
        live.pop(change.object["metadata"]["name"], None)
        if change.type != "DELETED":
            live[change.object["metadata"]["name"]] = change.object
        assert devices_of(live.values()) in inventories
