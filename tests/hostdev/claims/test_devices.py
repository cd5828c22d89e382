"""What a slice says of a unit."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostdev.binding.state import By, UnitKind, UnitSet
from hostdev.claims.devices import device_name, make_inventory, quantity, resource_value
from hostdev.inventory.bars import Bar, BarKind, Bars
from hostdev.jsonutil import parse_quantity
from hostdev.offer.compose import compose_offer
from tests.hostdev.claims.inventories import inventory, offered_by_claim
from tests.hostdev.gate.build import NIC, at, function, machine
from tests.hostdev.offer.offers import CARD, VF, card, entry, port
from tests.hostdev.offer.questions import QUESTIONS, Question

CARDS = entry(CARD, UnitKind.GROUP, class_name="vga")
OURS = "units.passgate.dev"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def test_a_card_with_its_companion_is_one_device() -> None:
    bars = Bars((Bar(0, BarKind.MEM32, 16 << 20), Bar(1, BarKind.PREF64, 16 << 30), Bar(5, BarKind.IO, 128)))
    first, second = card(0x3D, 35, root="pci0000:3a")
    companion = replace(second, bars=Bars((Bar(0, BarKind.MEM32, 16384),)))
    found = inventory(machine(replace(first, bars=bars), companion), CARDS)
    (device,) = found.devices

    assert device.as_json() == {
        "name": "0000-3a-00-0-8086-1eb8-" + device.name[-8:],
        "attributes": {
            f"{OURS}/resource": {"string": CARD},
            f"{OURS}/id": {"string": device.unit.id},
            "resource.kubernetes.io/pciBusID": {"string": "0000:3d:00.0"},
            "resource.kubernetes.io/pcieRoot": {"string": "pci0000:3a"},
            "resource.kubernetes.io/numaNode": {"int": 0},
            f"{OURS}/unit": {"string": "group"},
            f"{OURS}/class": {"string": "0300"},
            f"{OURS}/vendor": {"string": "8086"},
            f"{OURS}/device": {"string": "1eb8"},
            f"{OURS}/driver": {"string": "vfio-pci"},
            f"{OURS}/functionCount": {"int": 2},
            f"{OURS}/functions": {"string": "0000:3d:00.0,0000:3d:00.1"},
        },
        "capacity": {
            f"{OURS}/bar0": {"value": "16Mi"},
            f"{OURS}/bar1": {"value": "16Gi"},
            f"{OURS}/memory": {"value": "16793616Ki"},
        },
    }
    assert found.by_name == {device.name: device}


def test_what_is_not_known_has_no_attribute() -> None:
    first, second = card(1, 6)
    apart = machine(replace(first, root=""), replace(second, root="", numa_node=1))
    (device,) = inventory(apart, CARDS).devices

    assert not {"numaNode", "pcieRoot"} & {name.rpartition("/")[2] for name in device.attributes}
    assert device.capacity == {}, "no BAR was looked at"


@pytest.mark.parametrize(("count", "pieces"), [(1, 1), (5, 1), (6, 2), (40, 8)])
def test_five_functions_go_into_one_attribute(count: int, pieces: int) -> None:
    functions = [function(f"0000:05:{n // 8:02x}.{n % 8}", class_code=NIC, group=7) for n in range(count)]
    (device,) = inventory(machine(*functions), entry("example.com/all", UnitKind.GROUP, address=at("05:00.0"))).devices
    names = ["functions", *(f"functions{number}" for number in range(2, pieces + 1))]
    texts = [device.attributes[f"{OURS}/{name}"]["string"] for name in names]

    assert f"{OURS}/functions{pieces + 1}" not in device.attributes
    assert ",".join(texts).split(",") == [str(one.address) for one in functions]
    assert all(len(text) <= 64 for text in texts)


def test_a_group_of_very_many_functions_tells_how_many_there_are() -> None:
    functions = [function(f"0000:05:{n // 8:02x}.{n % 8}", class_code=NIC, group=7) for n in range(150)]
    (device,) = inventory(machine(*functions), entry("example.com/all", UnitKind.GROUP, address=at("05:00.0"))).devices

    assert len(device.attributes) + len(device.capacity) == 32
    assert device.attributes[f"{OURS}/functionCount"] == {"int": 150}


def test_what_a_claim_holds_stays_whatever_became_of_it() -> None:
    host = machine(*card(1, 6), *card(2, 7))
    free = offered_by_claim(host, CARDS)
    first, second = make_inventory(free).devices
    broken = machine(*(replace(one, driver="nvidia", vfio_dev=None) for one in card(1, 6)))
    held = {CARD: [first.unit.id, second.unit.id]}
    left = make_inventory(offered_by_claim(broken, CARDS, claimed=held)).devices

    assert [one.name for one in left] == [first.name, second.name]
    assert [one.unit.is_healthy for one in left] == [False, False]
    assert left[1].as_json()["attributes"] == {
        f"{OURS}/resource": {"string": CARD},
        f"{OURS}/id": {"string": second.unit.id},
    }
    assert make_inventory(offered_by_claim(broken, CARDS)).devices == (), "what is free and not ready is not listed"
    withdrawn = make_inventory(compose_offer(free.basis.state._replace(offers=()), host, claimed=held)).devices
    assert [one.name for one in withdrawn] == [first.name, second.name]


def test_an_id_that_no_attribute_holds_has_none() -> None:
    (device,) = make_inventory(offered_by_claim(machine(), CARDS, claimed={CARD: ["x" * 200]})).devices

    assert device.as_json()["attributes"] == {f"{OURS}/resource": {"string": CARD}}
    assert LABEL.fullmatch(device.name)


def test_the_set_of_a_unit_is_an_attribute_that_claims_can_compare() -> None:
    offer = offered_by_claim(machine(*card(1, 6), *card(2, 7)), CARDS)
    match = offer.basis.state.offers[0].match._replace(class_name="", address=at("01:00.0"))
    pair = UnitSet("sets[0]", "pair-a", (match,))
    first, second = make_inventory(compose_offer(offer.basis.state._replace(sets=(pair,)), offer.machine)).devices

    assert first.attributes[f"{OURS}/set"] == {"string": "pair-a"}
    assert f"{OURS}/set" not in second.attributes


@given(
    st.lists(
        st.tuples(st.from_regex(r"\A[0-9a-f][0-9a-f.:-]{0,62}\Z"), st.sampled_from([CARD, VF, f"{CARD}s"])),
        max_size=40,
        unique=True,
    )
)
def test_names_of_devices_are_labels_and_no_two_units_have_one(units: list[tuple[str, str]]) -> None:
    names = [device_name(*one) for one in units]

    assert all(LABEL.fullmatch(name) for name in names)
    assert len(set(names)) == len(units)


@given(st.integers(1, 300))
def test_a_resource_that_is_too_long_for_an_attribute_is_its_beginning_and_a_hash(length: int) -> None:
    names = [("a" * length)[:-3] + tail for tail in ("x/y", "x/z")]
    values = [resource_value(name) for name in names]

    assert len(set(values)) == 2
    assert all(len(value) <= 64 for value in values)
    assert all(("~" in value) is (len(name) > 64) for name, value in zip(names, values, strict=True))


@given(st.integers(0, 1 << 63))
def test_quantities_are_in_the_form_in_which_kubernetes_writes_them(size: int) -> None:
    text = quantity(size)

    assert parse_quantity(text) == size if size < 1 << 60 else True
    number, suffix = re.fullmatch(r"(\d+)([KMGTPE]i)?", text).groups()  # type: ignore[union-attr]
    assert size == 0 or suffix == "Ei" or int(number) % 1024


@settings(max_examples=60, deadline=None)
@given(QUESTIONS)
def test_devices_are_the_units_of_claims_that_can_be_given(question: Question) -> None:
    offer = compose_offer(*question)
    found = make_inventory(offer)
    units = [(p.resource, one.id) for p in offer.of(By.CLAIM).values() for one in p.units if one.is_healthy]

    assert sorted((one.resource, one.unit.id) for one in found.devices) == sorted(units)
    assert len(found.by_name) == len(found.devices)


def test_vfs_are_listed_with_what_they_are() -> None:
    found = inventory(machine(*port(0x81, 3, 20)), entry(VF, id=(0x8086, 0x154C)))

    assert [one.attributes["resource.kubernetes.io/pciBusID"]["string"] for one in found.devices] == [
        "0000:81:02.0",
        "0000:81:02.1",
        "0000:81:02.2",
    ]
