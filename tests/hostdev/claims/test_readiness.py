"""Whether what is allocated can be given: what another claim holds, and what has become of what is held."""

from __future__ import annotations

import pytest

from domxml.errors import Refused
from hostdev.binding.state import By, Match, NodeState, OfferEntry, UnitKind, UnitSet
from hostdev.claims.claim import AllocatedClaim, Result
from hostdev.claims.devices import device_name
from hostdev.claims.readiness import check_exclusive, prepare_units, renew_units, units_by_resource
from hostdev.inventory.machine import Machine
from hostdev.kubelet.claimrecords import ClaimRecord, ClaimRecords, PreparedUnit
from hostdev.offer.compose import compose_offer
from hostdev.offer.pool import Offer
from tests.hostdev.gate.build import at, machine
from tests.hostdev.kubelet.claims import record, unit
from tests.hostdev.offer.offers import CARD, card

OTHER = "f1f1f1f1-1313-498d-8f47-9c7d59942ba3"
BOOT = record().boot_id
PARTS = "example.com/part"
WHOLE = OfferEntry("offer[0]", CARD, Match(class_name="display"), UnitKind.GROUP, by=By.CLAIM)
PART = OfferEntry("offer[1]", PARTS, Match(class_name="display"), UnitKind.FUNCTION, by=By.CLAIM)


def offered(machine_: Machine, *entries: OfferEntry, records: tuple[ClaimRecord, ...] = ()) -> Offer:
    return compose_offer(NodeState(offers=entries), machine_, claimed=units_by_resource(records))


def allocated(*devices: str) -> AllocatedClaim:
    results = tuple(Result("gpu", "vm", device) for device in devices)
    return AllocatedClaim(record().uid, "default", "mine", None, (), results)


def device(offer: Offer, resource: str = CARD) -> str:
    return device_name(offer.of(By.CLAIM)[resource].units[0].id, resource)


def test_a_unit_is_prepared_with_all_that_its_container_needs() -> None:
    offer = offered(machine(*card(0x3D, 6)), WHOLE)

    (found,) = prepare_units(offer, allocated(device(offer)), "vm")

    assert [str(address) for address in found.functions] == ["0000:3d:00.0", "0000:3d:00.1"]
    assert found.groups == (6,)
    assert found.nodes == ("/dev/vfio/vfio", "/dev/vfio/6", "/dev/vfio/devices/vfio12", "/dev/vfio/devices/vfio13")
    assert (found.pool, found.device, found.resource) == ("vm", device(offer), CARD)


def test_a_card_and_a_part_of_it_are_two_devices_of_which_one_is_given() -> None:
    both = offered(machine(*card(0x3D, 6)), WHOLE, PART)
    assert device(both) != device(both, PARTS)
    units = prepare_units(both, allocated(device(both)), "vm")
    holder = record(*units, uid=OTHER, name="first")

    after = offered(machine(*card(0x3D, 6)), WHOLE, PART, records=(holder,))

    with pytest.raises(Refused, match=r"a claim holds 0000:3d:00\.0"):
        prepare_units(after, allocated(device(both, PARTS)), "vm")


def test_a_set_that_goes_as_a_whole_is_whole_when_one_claim_has_all_of_it() -> None:
    pair = tuple(Match(address=at(f"0000:{bus:02x}:00.0")) for bus in (0x3D, 0x3E))
    declared = NodeState(offers=(WHOLE,), sets=(UnitSet("sets[0]", "pair", pair, is_whole=True),))
    offer = compose_offer(declared, machine(*card(0x3D, 6), *card(0x3E, 7)))
    first, second = (device_name(one.id, CARD) for one in offer.of(By.CLAIM)[CARD].units)

    assert len(prepare_units(offer, allocated(first, second), "vm")) == 2
    with pytest.raises(Refused, match=r"set-broken: .* is given without the rest of pair"):
        prepare_units(offer, allocated(first), "vm")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (unit(0x3D), "claim default/first (UID f1f1f1f1-1313-498d-8f47-9c7d59942ba3) holds it already"),
        (unit(0x3D)._replace(unit="another"), "holds a part of it already"),
        (unit(0x3E)._replace(groups=(0x3D,)), "holds 0000:3e:00.0, which is in the same IOMMU group"),
    ],
)
def test_what_another_claim_holds_is_refused_whatever_the_offer_says(other: PreparedUnit, told: str) -> None:
    records = ClaimRecords((record(other, uid=OTHER, name="first"),))

    with pytest.raises(Refused) as caught:
        check_exclusive([unit(0x3D)], allocated(), BOOT, records)

    assert told in caught.value.what
    assert "delete the pod of that claim first: dr0" in caught.value.hint


@pytest.mark.parametrize(
    "one",
    [
        record(unit(0x3D)),
        record(unit(0x3E), uid=OTHER),
        record(unit(0x3E)._replace(groups=(0x3D,)), uid=OTHER, boot_id="another"),
    ],
)
def test_its_own_units_and_those_of_others_do_not_stand_in_the_way(one: ClaimRecord) -> None:
    check_exclusive([unit(0x3D)], allocated(), BOOT, ClaimRecords((one,)))


def test_of_what_is_held_and_not_offered_at_all_nothing_is_known() -> None:
    assert renew_units(offered(machine(*card(0x3D, 6)), WHOLE), record()) is None


def test_units_by_resource() -> None:
    found = units_by_resource([record(unit(0x3D), unit(0x3E)), record(unit(0x40, resource="example.com/other"))])

    assert {resource: len(ids) for resource, ids in found.items()} == {"example.com/gpu": 2, "example.com/other": 1}
