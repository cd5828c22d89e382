"""Slices after every change, and after every step that a crash may have been the last."""

from __future__ import annotations

from copy import deepcopy
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostdev.claims.counters import Consumption, CounterSet
from hostdev.claims.devices import Device, Inventory
from hostdev.claims.slices import Create, Delete, Owner, SlicePlan, Update, plan_slices
from hostdev.offer.pool import OfferedUnit
from tests.apiserver.pools import every_device
from tests.hostdev.claims.inventories import DRIVER, OWNER, Slices
from tests.hostdev.offer.offers import CARD
from tests.hostdev.units.enumeration import seeded


def made_of(plain: range | list[int], sharing: range | list[int] = range(0), mark: str = "") -> Inventory:
    """Devices without counters by their numbers, and such with."""
    unit = OfferedUnit("", None)
    devices = [
        Device(f"{kind}-{n}", CARD, unit, {"x": {"string": f"{n}{mark}"}}, {}, takes)
        for kind, numbers, takes in (
            ("p", plain, ()),
            ("s", sharing, (Consumption("exclusive-0", {"group-1": 1}),)),
        )
        for n in numbers
    ]
    sets = [CounterSet(f"exclusive-{n}", {"group-1": 1}) for n in range(-(-len(sharing) // 20))]
    return Inventory(tuple(devices), tuple(sets))


def plan(found: Inventory, slices: Slices, owner: Owner = OWNER) -> SlicePlan:
    return plan_slices(found, slices.live, owner, DRIVER)


def settle(found: Inventory, slices: Slices) -> None:
    """Carry out a plan; afterwards all is as it shall be, and nothing is left to do."""
    for step in plan(found, slices).steps:
        slices.apply(step)
    assert slices.devices == {one.name: one.as_json() for one in found.devices}
    assert slices.newest == slices.live, "nothing is left behind"
    assert plan(found, slices).steps == ()


def settled(found: Inventory) -> Slices:
    slices = Slices()
    settle(found, slices)
    return slices


def assert_sound(slices: Slices, *inventories: Inventory) -> None:
    """No half inventory in a complete pool, and no device twice."""
    names = [one["name"] for one in every_device(slices.newest)] if slices.live else []
    assert len(names) == len(set(names))
    shown = slices.devices
    assert shown is None or shown in [{one.name: one.as_json() for one in known.devices} for known in inventories]


def test_a_slice_is_the_nodes_and_looks_as_one_of_the_go_library() -> None:
    (step,) = plan(made_of([1]), Slices()).steps
    assert isinstance(step, Create)
    assert step.object["metadata"] == {
        "name": "node-1-units.passgate.dev-devices-0",
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": OWNER.name, "uid": OWNER.uid, "controller": True}
        ],
    }
    spec = step.object["spec"]
    assert spec["pool"] == {"name": "node-1", "generation": 1, "resourceSliceCount": 1}
    assert (spec["driver"], spec["nodeName"], len(spec["devices"])) == (DRIVER, "node-1", 1)


def test_counters_have_slices_of_their_own_and_come_first() -> None:
    steps = plan(made_of(range(200), range(170)), Slices()).steps
    specs = [one.object["spec"] for one in steps if isinstance(one, Create)]

    assert [len(one.get("sharedCounters", ())) for one in specs] == [8, 1, 0, 0, 0, 0, 0]
    assert [len(one.get("devices", ())) for one in specs] == [0, 0, 128, 72, 64, 64, 42]
    assert all(("devices" in one) is not ("sharedCounters" in one) for one in specs)
    assert {one["pool"]["resourceSliceCount"] for one in specs} == {7}


def test_one_device_more_or_less_is_one_write_of_the_same_generation() -> None:
    slices = settled(made_of(range(300)))
    for numbers in ([n for n in range(300) if n != 7], list(range(300))):
        (step,) = plan(made_of(numbers), slices).steps
        assert isinstance(step, Update)
        assert step.object["spec"]["pool"]["generation"] == 1
        settle(made_of(numbers), slices)


def test_more_than_one_slice_that_changes_is_a_new_generation() -> None:
    slices = settled(made_of(range(300)))
    fewer = made_of([n for n in range(300) if n not in {3, 200}])

    assert plan(fewer, slices).generation == 2
    settle(fewer, slices)
    assert len(slices.live) == 3


def test_devices_stay_where_they_are() -> None:
    slices = settled(made_of(range(300)))
    before = {device["name"]: one["metadata"]["name"] for one in slices.live for device in one["spec"]["devices"]}
    settle(made_of(range(100, 420)), slices)
    after = {device["name"]: one["metadata"]["name"] for one in slices.live for device in one["spec"]["devices"]}

    assert all(after[name] == place for name, place in before.items() if name in after)


def test_a_new_device_goes_where_there_is_room_before_there_is_another_slice() -> None:
    slices = settled(made_of(range(200)))
    settle(made_of(range(128, 200)), slices)
    (step,) = plan(made_of(range(128, 201)), slices).steps

    assert isinstance(step, Update)
    assert step.object["metadata"]["name"].endswith("-devices-1")


def test_a_pool_without_a_generation_is_completed_as_it_is() -> None:
    found = made_of(range(300))
    slices = settled(found)
    for one in slices.live:
        one["spec"]["pool"]["generation"] = 0
    slices.objects.popitem()
    settle(found, slices)

    assert len(slices.live) == 3


def test_slices_that_are_nearly_empty_are_put_together() -> None:
    slices = settled(made_of(range(1280)))
    settle(made_of(range(0, 1280, 128)), slices)

    assert len(slices.live) == 1


def test_nothing_to_offer_is_no_slice_at_all() -> None:
    slices = settled(made_of(range(300), range(3)))
    settle(Inventory(), slices)

    assert slices.live == []


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_what_kubelet_wipes_is_made_again(gone: int) -> None:
    found = made_of(range(300))
    slices = settled(found)
    left = Slices(slices.live[gone:])
    steps = plan(found, left).steps

    assert [type(one) for one in steps] == [Create] * gone
    settle(found, left)


def test_slices_of_others_are_left_alone_and_our_own_of_another_pool_go() -> None:
    found = made_of([1])
    ours = settled(found).live[0]
    other_node, other_driver, other_pool = (deepcopy(ours) for _ in range(3))
    other_node["spec"]["nodeName"] = "node-2"
    other_driver["spec"]["driver"] = "gpu.example.com"
    other_pool["spec"]["pool"]["name"] = "cards"
    for number, one in enumerate((other_node, other_driver), 1):
        one["metadata"]["name"] = f"other-{number}"
    plan_ = plan_slices(found, [other_node, other_driver, other_pool], OWNER, DRIVER)

    # The name is that of a slice whose pool cannot be changed.
    assert [type(one) for one in plan_.steps] == [Delete, Create]
    assert plan_.steps[0] == Delete(ours["metadata"]["name"], "uid-1", "1")


def test_what_others_wrote_on_a_slice_stays_and_what_they_did_to_it_does_not() -> None:
    found = made_of([1, 2])
    slices = settled(found)
    (here,) = slices.live
    here["metadata"] |= {"labels": {"team": "a"}, "managedFields": [{}]}
    here["spec"]["devices"].pop()
    (step,) = plan(found, slices).steps

    assert isinstance(step, Update)
    assert step.object["metadata"]["labels"] == {"team": "a"}
    assert "managedFields" not in step.object["metadata"]
    settle(found, slices)


def test_a_node_that_was_registered_anew_owns_its_slices_again() -> None:
    found = made_of(range(300))
    slices = settled(found)
    again = plan(found, slices, Owner(OWNER.name, "another"))

    assert len(again.steps) == 3
    assert all(
        isinstance(one, Update) and one.object["metadata"]["ownerReferences"][0]["uid"] == "another"
        for one in again.steps
    )


@pytest.mark.parametrize("node", ["n", "node-1.example.com", "n" * 253])
@pytest.mark.parametrize("driver", [DRIVER, "Units.Example.com", f"{'d' * 59}.dev"])
def test_names_are_those_of_objects(node: str, driver: str) -> None:
    (step,) = plan_slices(made_of([1]), [], Owner(node, "u"), driver).steps
    assert isinstance(step, Create)
    name = step.object["metadata"]["name"]

    assert len(name) <= 253
    assert name == name.lower()


INVENTORIES = st.builds(
    lambda plain, sharing, seed, mark: _some(plain, sharing, seeded(seed), mark),
    st.sampled_from([0, 1, 100, 129, 300]),
    st.sampled_from([0, 1, 65, 170]),
    st.integers(0, 2**32),
    st.sampled_from(["", "", "'"]),
)


def _some(plain: int, sharing: int, random: Random, mark: str) -> Inventory:
    return made_of(
        [n for n in range(plain) if random.random() < 0.9], [n for n in range(sharing) if random.random() < 0.9], mark
    )


@settings(max_examples=25, deadline=None)
@given(before=INVENTORIES, after=INVENTORIES, later=INVENTORIES, wiped=st.integers(0, 2**32))
def test_after_each_step_the_pool_is_whole_or_not_complete_and_a_new_start_ends_where_it_should(
    before: Inventory, after: Inventory, later: Inventory, wiped: int
) -> None:
    start = settled(before).live
    steps = plan(after, Slices(deepcopy(start))).steps
    for count in range(len(steps) + 1):
        slices = Slices(deepcopy(start))
        for step in steps[:count]:
            slices.apply(step)
            assert_sound(slices, before, after)
        settle_step_by_step(deepcopy(slices), after, before)
        settle_step_by_step(deepcopy(slices), later, before, after)
        random = seeded(wiped)
        slices.objects = {name: one for name, one in slices.objects.items() if random.random() < 0.7}
        settle_step_by_step(slices, later, before, after)


def settle_step_by_step(slices: Slices, found: Inventory, *before: Inventory) -> None:
    """Whatever the crash left, no step shows half of anything, and the end is what it shall be."""
    for step in plan(found, slices).steps:
        slices.apply(step)
        assert_sound(slices, found, *before)
    settle(found, slices)
