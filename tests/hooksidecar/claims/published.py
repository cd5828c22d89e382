"""Inventories by name alone, and what a scheduler sees of them: attributes are not the publisher's concern."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from hostdev.claims.devices import Inventory
from tests.apiserver.server import ApiServerDouble

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
    mine = double.storage.select("resourceslices", lambda one: bool(one["spec"].get("nodeName") == NODE))
    return devices_of([one["spec"] for one in mine])


def devices_of(slices: list[dict[str, Any]]) -> set[str]:
    """Those of the newest generation, where it is complete."""
    newest = max((one["pool"]["generation"] for one in slices), default=0)
    slices = [one for one in slices if one["pool"]["generation"] == newest]
    names = [device["name"] for one in slices for device in one.get("devices", ())]
    assert len(names) == len(set(names)), "a device is in two live slices"
    is_complete = all(one["pool"]["resourceSliceCount"] == len(slices) for one in slices)
    return set(names) if is_complete else set()


def assert_no_lies(double: ApiServerDouble, since: int, inventories: list[set[str]]) -> None:
    """In no moment a scheduler saw anything but one of these, or nothing."""
    live: dict[str, dict[str, Any]] = {}
    for change in double.storage.changes("resourceslices", since):
        live.pop(change.object["metadata"]["name"], None)
        if change.type != "DELETED":
            live[change.object["metadata"]["name"]] = change.object["spec"]
        assert devices_of(list(live.values())) in inventories
