"""A node to which one thing happens after another: its slices are right after each."""

from __future__ import annotations

from collections import Counter

from hostdev.claims.devices import Inventory, make_inventory
from hostdev.claims.slices import plan_slices
from tests.apiserver.pools import every_device
from tests.hostdev.claims.changing import ChangingNode
from tests.hostdev.claims.inventories import DRIVER, OWNER, Slices
from tests.hostdev.units.enumeration import seeded

CHANGES = 200


def test_slices_are_right_after_each_of_many_changes() -> None:
    """The full size, and what a change costs there, is in `make bench`."""
    node, slices = ChangingNode(8, 63, seeded(7)), Slices()
    happened: Counter[str] = Counter()
    writes, found = [], Inventory()
    for number in range(CHANGES + 1):
        if number:
            happened[node.change()] += 1
        found = make_inventory(node.offer, found)
        before, slices.writes = slices.devices, 0
        wanted = {one.name: one.as_json() for one in found.devices}
        for step in plan_slices(found, slices.live, OWNER, DRIVER).steps:
            slices.apply(step)
            names = [one["name"] for one in every_device(slices.newest)]
            assert len(names) == len(set(names))
            assert slices.devices in (None, before, wanted)
        assert slices.devices == wanted
        assert found == make_inventory(node.offer)
        assert slices.newest == slices.live
        assert not plan_slices(found, slices.live, OWNER, DRIVER).steps
        writes.append(slices.writes)

    assert min(happened[f"_{what}"] for what in ("bind", "remake_vfs", "claim", "release")) > 10
    assert sorted(writes)[CHANGES // 2] <= 1, "most changes are one write"
