"""Units: which functions go to a VM together, which of them comes first, and what keeps them from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domxml.pciaddress import PciAddress
from hostdev.binding.state import UnitKind
from hostdev.gate.check import check
from hostdev.gate.readiness import _codes
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.units.compose import compose_units, is_for_guests
from hostdev.units.unit import Unit
from tests.hostdev.commands import pictures
from tests.hostdev.gate.build import at, function, machine
from tests.hostdev.units.enumeration import relisted, renumbered, seeded

PICTURES = dict(pictures())
KINDS: tuple[UnitKind | None, ...] = (None, *UnitKind)
VGA, AUDIO, USB, NIC = 0x030000, 0x040300, 0x0C0330, 0x020000


def made(*functions: PciFunction, kind: UnitKind | None = None) -> list[tuple[str, ...]]:
    """The functions of each unit."""
    return [tuple(map(str, unit.functions)) for unit in compose_units(machine(*functions), kind)]


def on_vfio(address: str, class_code: int, group: int | None) -> PciFunction:
    return function(address, class_code=class_code, driver="vfio-pci", vfio_dev="vfio0", group=group)


def test_a_function_alone_in_its_group_is_a_unit() -> None:
    assert made(on_vfio("0000:01:00.0", NIC, 1), on_vfio("0000:01:00.1", NIC, 2)) == [
        ("0000:01:00.0",),
        ("0000:01:00.1",),
    ]


def test_companions_of_the_same_group_come_along() -> None:
    card = on_vfio("0000:01:00.1", AUDIO, 1), on_vfio("0000:01:00.0", VGA, 1), on_vfio("0000:01:00.2", USB, 1)

    assert made(*card) == [("0000:01:00.0", "0000:01:00.1", "0000:01:00.2")]
    assert [unit.kind for unit in compose_units(machine(*card))] == [UnitKind.SLOT]
    assert made(*card, kind=UnitKind.FUNCTION) == [("0000:01:00.0",), ("0000:01:00.1",), ("0000:01:00.2",)]


def test_a_group_of_several_cards_is_a_unit() -> None:
    cards = on_vfio("0000:01:00.0", NIC, 1), on_vfio("0000:02:00.0", VGA, 1), on_vfio("0000:02:00.1", AUDIO, 1)

    (unit,) = compose_units(machine(*cards))

    assert unit.kind is UnitKind.GROUP
    # The display comes before the card with the lower address, its audio last.
    assert [str(address) for address in unit.functions] == ["0000:02:00.0", "0000:01:00.0", "0000:02:00.1"]


@pytest.mark.parametrize(
    ("classes", "first"),
    [
        ((AUDIO, VGA), 1),
        ((USB, NIC), 1),
        ((NIC, NIC), 0),
        ((NIC, VGA), 1),
        ((AUDIO, USB), 0),
        ((0x0C8000, 0x120000), 1),
    ],
)
def test_the_primary_one_is_what_a_vm_wants(classes: tuple[int, int], first: int) -> None:
    slot = [on_vfio(f"0000:01:00.{number}", code, 1) for number, code in enumerate(classes)]

    assert compose_units(machine(*slot))[0].primary == slot[first].address


def test_a_slot_that_the_iommu_splits_is_one_unit_where_that_is_asked() -> None:
    card = on_vfio("0000:01:00.0", VGA, 1), on_vfio("0000:01:00.1", AUDIO, 2)

    assert made(*card) == [("0000:01:00.0",), ("0000:01:00.1",)]
    (unit,) = compose_units(machine(*card), UnitKind.SLOT)
    assert (unit.groups, len(unit.functions)) == ((1, 2), 2)


def test_bridges_and_quiet_parts_of_the_board_are_in_no_unit() -> None:
    port = function("0000:00:01.0", class_code=0x060400, bridge=True, driver="pcieport", group=1)
    smbus = function("0000:00:1f.4", class_code=0x0C0500, driver="i801_smbus", vfio_dev=None, group=2)

    assert made(port, smbus, on_vfio("0000:01:00.0", VGA, 1)) == [("0000:01:00.0",)]


def test_no_unit_is_ready_of_which_something_was_not_seen() -> None:
    card = on_vfio("0000:01:00.0", VGA, 1)
    seen = machine(card)
    hidden = replace(seen, unread=((f"/sys/bus/pci/devices/{card.address}/driver", "Permission denied"),))

    assert compose_units(seen)[0].ready
    assert compose_units(hidden)[0].blockers == ("host-unreadable",)


def test_nodes_that_differ_are_no_node() -> None:
    slot = on_vfio("0000:01:00.0", VGA, 1), on_vfio("0000:01:00.1", AUDIO, 1)

    assert compose_units(machine(replace(slot[0], numa_node=1), replace(slot[1], numa_node=0)))[0].numa_node is None
    assert compose_units(machine(*(replace(one, numa_node=0) for one in slot)))[0].numa_node == 0


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_on_every_machine_units_have_each_device_once_and_each_id_once(name: str, kind: UnitKind | None) -> None:
    picture = PICTURES[name]
    units = compose_units(picture, kind)
    members = [address for unit in units for address in unit.functions]

    assert len(members) == len(set(members))
    assert set(members) >= {a for a, one in picture.functions.items() if is_for_guests(one)}
    assert len({unit.id for unit in units}) == len(units)
    assert all(len(unit.id) <= 63 and not {",", "/", " "} & set(unit.id) for unit in units)
    assert [unit.primary for unit in units] == sorted(unit.primary for unit in units)


@pytest.mark.parametrize("name", PICTURES)
def test_vfs_that_are_alike_are_judged_as_each_by_itself(name: str) -> None:
    picture = PICTURES[name]

    for unit in compose_units(picture):
        assert set(unit.blockers) == set(_codes(check(picture, unit.functions))) - _of_the_rest(picture), unit.id


def _of_the_rest(picture: Machine) -> set[str]:
    """What is not seen of other devices is not asked here."""
    return {"host-unreadable"} if picture.unread else set()


@pytest.mark.parametrize("name", PICTURES)
@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1 << 32))
def test_the_order_in_which_sysfs_lists_things_changes_nothing(name: str, seed: int) -> None:
    picture = PICTURES[name]

    assert compose_units(relisted(picture, seeded(seed))) == compose_units(picture)


@pytest.mark.parametrize("name", PICTURES)
def test_another_enumeration_leaves_the_ids(name: str) -> None:
    picture = PICTURES[name]
    # Where a host bridge or a parent is not known, the address is all there is.
    known = {unit.id for unit in compose_units(picture) if not _is_by_address(unit)}
    again = {unit.id for unit in compose_units(renumbered(picture, seeded(name)))}

    assert known <= again


def _is_by_address(unit: Unit) -> bool:
    return unit.id.startswith(str(unit.primary))


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_plugged_in_or_made_elsewhere_leaves_the_ids(name: str) -> None:
    picture = PICTURES[name]
    before = compose_units(picture, UnitKind.FUNCTION)
    vfs = {a for a, one in picture.functions.items() if one.physfn is not None}
    half = {unit.primary for unit in before[::2]}

    for gone in (vfs, half - _needed(picture)):
        functions = {
            a: replace(one, virtfns=() if gone is vfs else one.virtfns)
            for a, one in picture.functions.items()
            if a not in gone
        }
        after = {u.id for u in compose_units(replace(picture, functions=functions), UnitKind.FUNCTION)}
        assert after == {unit.id for unit in before if unit.primary not in gone}


def _needed(picture: Machine) -> set[PciAddress]:
    """What others hang below."""
    return {above for one in picture.functions.values() for above in (one.parent, one.physfn) if above is not None}


def test_another_card_in_the_same_slot_has_another_id() -> None:
    (one,) = compose_units(machine(replace(at_place(), device=0x1234)))
    (other,) = compose_units(machine(replace(at_place(), device=0x1235)))

    assert one.id != other.id


def at_place() -> PciFunction:
    return replace(on_vfio("0000:01:00.0", NIC, 1), root="pci0000:00", parent=None)


def test_a_way_that_is_too_long_for_an_id_is_shortened() -> None:
    bridges = [
        function(
            f"0000:{bus:02x}:1f.7",
            class_code=0x060400,
            bridge=True,
            root="pci0000:00",
            parent=at(f"0000:{bus - 1:02x}:1f.7") if bus else None,
        )
        for bus in range(14)
    ]
    deep = [replace(on_vfio(f"0000:0e:00.{n}", NIC, n), root="pci0000:00", parent=at("0000:0d:1f.7")) for n in (0, 1)]
    units = compose_units(machine(*bridges, *deep))

    assert len({unit.id for unit in units}) == 2
    assert all(len(unit.id) <= 63 for unit in units)
