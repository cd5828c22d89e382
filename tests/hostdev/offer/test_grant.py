"""What a pod is given, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import Refused
from hostdev.binding.state import By, UnitKind
from hostdev.inventory.machine import Machine, Vfio
from hostdev.offer.compose import compose_offer
from hostdev.offer.grant import findings_against, make_grant
from tests.hostdev.gate.build import machine
from tests.hostdev.offer.offers import CARD, VF, card, entry, ids, offered, port

CARDS = entry(CARD, UnitKind.GROUP, class_name="vga")
KUBEVIRT = re.compile(r"[\da-fA-F]{4}:[\da-fA-F]{2}:[\da-fA-F]{2}\.[0-7]")
"""What virt-launcher takes as an address; it trims nothing."""


def with_nodes(host: Machine, *names: str) -> Machine:
    vfio = Vfio(host.vfio.modules, ("vfio", *(str(number) for number in host.groups), *names), host.vfio.iommufd)
    return replace(host, vfio=vfio)


def host() -> Machine:
    return with_nodes(machine(*card(2, 7), *card(1, 6)), "devices/vfio12", "devices/vfio15")


@given(st.permutations([0, 1]))
def test_all_primary_functions_come_before_the_companions(order: list[int]) -> None:
    offer = offered(host(), CARDS)
    grant = make_grant(offer, CARD, [ids(offer, CARD)[number] for number in order])

    assert grant.variables == {
        "PCI_RESOURCE_EXAMPLE_COM_GPU": "0000:01:00.0,0000:02:00.0,0000:01:00.1,0000:02:00.1",
    }
    assert all(KUBEVIRT.fullmatch(word) for word in grant.variables["PCI_RESOURCE_EXAMPLE_COM_GPU"].split(","))


def test_nodes_are_those_of_all_groups_and_of_devices_that_have_one() -> None:
    offer = offered(host(), CARDS)

    assert make_grant(offer, CARD, ids(offer, CARD)).nodes == (
        "/dev/vfio/vfio",
        "/dev/vfio/6",
        "/dev/vfio/7",
        "/dev/vfio/devices/vfio12",
        "/dev/vfio/devices/vfio15",
    )


def test_an_id_that_is_not_listed_is_refused() -> None:
    offer = offered(host(), CARDS)

    with pytest.raises(Refused, match="another is not offered") as caught:
        make_grant(offer, CARD, [ids(offer, CARD)[0], "another"])
    assert caught.value.code == "unit-unknown"
    with pytest.raises(Refused):
        make_grant(offer, "example.com/other", ["another"])
    assert [one.code for one in findings_against(offer, CARD, ["another"])] == ["unit-unknown"]


def test_what_is_gone_is_refused() -> None:
    vfs = entry(VF, id=(0x8086, 0x154C))
    held = ids(offered(machine(*port(0x81, 1, 20)), vfs), VF)
    offer = offered(machine(), vfs, held={VF: held})

    with pytest.raises(Refused) as caught:
        make_grant(offer, VF, held)
    assert caught.value.code == "unit-gone"
    assert [one.code for one in findings_against(offer, VF, held)] == ["unit-gone"]


def test_passing_trouble_is_no_reason_to_end_the_pod() -> None:
    first, second = card(1, 6)
    offer = offered(with_nodes(machine(first, replace(second, driver="snd_hda_intel", vfio_dev=None))), CARDS)
    own = ids(offer, CARD)

    assert make_grant(offer, CARD, own).nodes == ("/dev/vfio/vfio", "/dev/vfio/6")
    found = findings_against(offer, CARD, own)
    assert {one.code for one in found} == set(offer.of(By.PLUGIN)[CARD].units[0].blockers)
    assert any("snd_hda_intel" in one.what and one.hint for one in found)


def test_nothing_speaks_against_what_can_be_given() -> None:
    offer = offered(host(), CARDS)

    assert findings_against(offer, CARD, ids(offer, CARD)) == ()


def test_what_another_claim_holds_of_the_same_card_speaks_against_a_claim() -> None:
    """Counters keep them apart as long as both are listed; whether both were is not known here."""
    claims = [
        entry(CARD, class_name="vga")._replace(by=By.CLAIM),
        entry("example.com/audio", UnitKind.FUNCTION, class_name="audio")._replace(by=By.CLAIM),
    ]
    free = offered(host(), *claims)
    whole, part = (next(iter(free.of(By.CLAIM)[name].by_id)) for name in (CARD, "example.com/audio"))
    offer = compose_offer(free.basis.state, free.machine, claimed={CARD: [whole]})

    assert findings_against(free, "example.com/audio", [part], By.CLAIM) == ()
    assert findings_against(offer, CARD, [whole], By.CLAIM) == ()
    (found,) = findings_against(offer, "example.com/audio", [part], By.CLAIM)
    assert (found.code, found.message) == (
        "offer-conflict",
        "a claim holds 0000:01:00.0 as example.com/gpu, and both have 0000:01:00.1",
    )
    assert make_grant(offer, CARD, [whole], By.CLAIM).units[0].id == whole
