"""Counters against a judge that tries every set of devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from hostdev.binding.state import By, NodeState, UnitKind
from hostdev.claims.counters import MOST_COUNTERS, Claimable, count_exclusions
from hostdev.claims.devices import Device, Inventory, make_inventory
from hostdev.inventory.machine import Machine
from hostdev.offer.compose import compose_offer
from hostdev.offer.pool import Remark
from hostdev.units.compose import compose_units
from tests.hostdev.claims.inventories import fit_together, inventory, offered_by_claim
from tests.hostdev.gate.build import NIC, at, function, machine
from tests.hostdev.offer.offers import CARD, VF, card, entry, port
from tests.hostdev.offer.questions import QUESTIONS, Question
from tests.hostdev.units.enumeration import seeded

CARDS = entry(CARD, UnitKind.GROUP, class_name="vga")
WHOLE = entry("example.com/whole", UnitKind.SLOT, address=at("05:00.0"))


def go_together(machine: Machine, devices: Sequence[Device]) -> bool:
    """No function, no IOMMU group twice, and no PF beside its VFs: written without the product's words for it."""
    units = [one.unit.unit for one in devices if one.unit.unit]
    for one, other in combinations(units, 2):
        pfs = {machine.functions[address].physfn for address in one.functions}
        others = {machine.functions[address].physfn for address in other.functions}
        if (
            set(one.functions) & set(other.functions)
            or set(one.groups) & set(other.groups)
            or pfs & set(other.functions)
            or others & set(one.functions)
        ):
            return False
    return True


def assert_counters_are_right(machine: Machine, found: Inventory, devices: Sequence[Device]) -> None:
    """Of every set of these devices."""
    for size in range(1, len(devices) + 1):
        for some in combinations(devices, size):
            assert fit_together(found, some) is go_together(machine, some), [one.name for one in some]


def all_by_claim(state: NodeState) -> NodeState:
    """Without limits."""
    return state._replace(offers=tuple(one._replace(by=By.CLAIM, limit=None) for one in state.offers))


def all_listed(state: NodeState, picture: Machine) -> Inventory:
    """With every unit held by a claim, as it may have come about one after the other."""
    free = compose_offer(state, picture)
    claimed = {name: [*pool.by_id] for name, pool in free.of(By.CLAIM).items()}
    return make_inventory(compose_offer(state, picture, claimed=claimed))


def slot(count: int) -> list[object]:
    """A slot whose functions are alone in their groups."""
    return [
        function(f"0000:05:00.{n}" if n < 8 else f"0000:05:{n // 8:02x}.{n % 8}", class_code=NIC, group=50 + n)
        for n in range(count)
    ]


def test_a_whole_card_and_its_parts_exclude_each_other() -> None:
    host = machine(*slot(4))  # type: ignore[arg-type]
    found = inventory(host, WHOLE, entry("example.com/part", UnitKind.FUNCTION, class_name="network"))

    assert len(found.devices) == 5
    assert_counters_are_right(host, found, found.devices)
    assert [len(one.counters) for one in found.counter_sets] == [4]


def test_functions_of_one_group_share_one_counter() -> None:
    host = machine(*card(1, 6), *card(2, 7))
    found = inventory(
        host,
        CARDS,
        entry("example.com/vga", UnitKind.FUNCTION, class_name="vga"),
        entry("example.com/audio", UnitKind.FUNCTION, class_name="audio"),
    )

    assert [one.counters for one in found.counter_sets] == [{"group-6": 1, "group-7": 1}]
    assert_counters_are_right(host, found, found.devices)


def test_what_shares_nothing_has_no_counters() -> None:
    found = inventory(machine(*card(1, 6), *card(2, 7), *port(0x81, 4, 20)), CARDS, entry(VF, id=(0x8086, 0x154C)))

    assert len(found.devices) == 6
    assert found.counter_sets == ()
    assert all("consumesCounters" not in one.as_json() for one in found.devices)


def test_a_pf_takes_as_much_as_all_its_vfs() -> None:
    host = machine(*port(0x81, 6, 20, driver="vfio-pci"))
    entries = entry("example.com/pf", id=(0x8086, 0x1572)), entry(VF, id=(0x8086, 0x154C))
    found = all_listed(offered_by_claim(host, *entries).basis.state, host)

    assert [one.counters for one in found.counter_sets] == [{"vfs-of-0000-81-00-0": 6}]
    assert {value for one in found.devices for c in one.consumes for value in c.counters.values()} == {1, 6}
    assert_counters_are_right(host, found, found.devices)


def test_a_unit_that_is_not_ready_for_a_moment_changes_no_counter() -> None:
    host = machine(*slot(4))  # type: ignore[arg-type]
    entries = WHOLE, entry("example.com/part", UnitKind.FUNCTION, class_name="network")
    changed = replace(host.functions[at("05:00.1")], driver="ixgbe", vfio_dev=None)
    after = inventory(replace(host, functions={**host.functions, at("05:00.1"): changed}), *entries)

    assert len(after.devices) < 5
    assert after.counter_sets == inventory(host, *entries).counter_sets


def test_two_resources_of_very_many_vfs_are_kept_apart_too() -> None:
    """The PF, and each VF twice: more counters than a set has, and no device takes from more than two sets."""
    host = machine(*port(0x81, 200, 20, driver="vfio-pci"))
    entries = [entry("example.com/pf", id=(0x8086, 0x1572)), *(entry(f"{VF}{n}", id=(0x8086, 0x154C)) for n in "ab")]
    found = all_listed(offered_by_claim(host, *entries).basis.state, host)

    assert (len(found.devices), found.remarks) == (401, ())
    assert_limits_hold(found)
    by_unit: dict[str, list[Device]] = {}
    for one in found.devices:
        by_unit.setdefault(one.unit.id, []).append(one)
    (pf,) = next(some for some in by_unit.values() if len(some) == 1)
    twins = [some for some in by_unit.values() if len(some) == 2]
    assert all(not fit_together(found, some) for some in twins)
    assert all(not fit_together(found, [pf, one]) for some in twins for one in some)
    assert fit_together(found, [some[0] for some in twins])


def test_what_the_counters_of_the_api_do_not_suffice_for_is_left_out_and_told() -> None:
    """What shares with the most gives way until the rest fits."""
    functions = [function(f"0000:05:{n // 8:02x}.{n % 8}", class_code=NIC, group=50 + n) for n in range(128)]
    found = tangled(functions, seeded(1), 150)

    assert found.remarks
    assert all(one.code == "offer-conflict" and "too few counters" in one.message for one in found.remarks)
    assert_limits_hold(found)


def tangled(functions: Sequence[object], random: Random, count: int) -> Inventory:
    """Units of random functions, each a resource of its own: no machine is like that."""
    host = machine(*functions)  # type: ignore[arg-type]
    (template,) = compose_units(host, UnitKind.FUNCTION, [at("05:00.0")])
    addresses = sorted(host.functions)
    units = [
        Claimable(f"d{n}", "r", template._replace(functions=tuple(random.sample(addresses, 3)), groups=()), False, True)
        for n in range(count)
    ]
    sets, consumed, left_out = count_exclusions(host, units)
    devices = [
        Device(one.name, one.resource, None, {}, {}, consumed.get(one.name, ()))  # type: ignore[arg-type]
        for one in units
        if one.name not in left_out
    ]
    found = Inventory(tuple(devices), sets, tuple(Remark((), one) for one in left_out.values()))
    kept = [one for one in units if one.name not in left_out]
    for one, other in combinations(range(len(kept)), 2):
        shared = set(kept[one].unit.functions) & set(kept[other].unit.functions)
        assert fit_together(found, [devices[one], devices[other]]) is not bool(shared)
    return found


def assert_limits_hold(found: Inventory) -> None:
    assert all(0 < len(one.counters) <= MOST_COUNTERS for one in found.counter_sets)
    assert all(len(one.consumes) <= 2 for one in found.devices)
    names = {one.name for one in found.counter_sets}
    assert len(names) == len(found.counter_sets)
    assert all(one.counter_set in names for device in found.devices for one in device.consumes)


@settings(max_examples=60, deadline=None)
@given(QUESTIONS, st.integers(0, 2**32))
def test_counters_fit_for_what_goes_together_and_for_nothing_else(question: Question, seed: int) -> None:
    """Any machine; of its devices a few that share, so that every set of them can be tried."""
    random = seeded(seed)
    picture = question.machine
    found = all_listed(all_by_claim(question.state), picture)

    assert_limits_hold(found)
    sharing = [one for one in found.devices if one.consumes]
    some = random.sample(sharing, min(len(sharing), 6)) + random.sample(found.devices, min(len(found.devices), 3))
    assert_counters_are_right(picture, found, list({one.name: one for one in some}.values()))
    pairs = [random.sample(found.devices, 2) for _ in range(200) if len(found.devices) > 1]
    assert all(fit_together(found, pair) is go_together(picture, pair) for pair in pairs)


@settings(max_examples=40, deadline=None)
@given(QUESTIONS)
def test_without_counters_nothing_is_listed_beside_what_it_excludes(question: Question) -> None:
    offer = compose_offer(all_by_claim(question.state), question.machine)
    found, counted = make_inventory(offer, with_counters=False), make_inventory(offer)

    assert found.counter_sets == ()
    assert go_together(question.machine, found.devices)
    listed = {one.name for one in found.devices}
    lost = [one for one in counted.devices if one.name not in listed]
    assert all(not go_together(question.machine, [*found.devices, one]) for one in lost), "none gives way for nothing"
    assert len(found.remarks) >= len(lost)
