"""What is offered: which units, in which health, and what is told of the rest."""

from __future__ import annotations

from dataclasses import replace

from domxml.finding import Severity
from hostdev.binding.state import By, NodeState, UnitKind
from hostdev.inventory.machine import Machine
from hostdev.offer.compose import compose_offer
from hostdev.offer.pool import Basis, Offer
from tests.hostdev.gate.build import GPU, at, bridge, function, machine
from tests.hostdev.offer.offers import CARD, VF, card, entry, ids, offered, port, primaries, state

VFS = entry(VF, id=(0x8086, 0x154C))
CARDS = entry(CARD, class_name="vga")


def health(offer: Offer, resource: str) -> dict[str, tuple[str, ...]]:
    """The codes against each unit that is listed."""
    return {one.id: one.blockers for one in offer.of(By.PLUGIN)[resource].units}


def told(offer: Offer) -> list[tuple[str, str]]:
    return [(finding.code, finding.subject) for finding in offer.findings]


def test_each_resource_has_its_units_in_the_order_of_the_machine() -> None:
    host = machine(*card(2, 7), *card(1, 6), *port(0x81, 2, 20))
    offer = offered(host, VFS, CARDS)

    assert [pool.resource for pool in offer.pools] == [CARD, VF]
    assert primaries(offer, CARD) == ["0000:01:00.0", "0000:02:00.0"]
    assert primaries(offer, VF) == ["0000:81:02.0", "0000:81:02.1"]
    assert all(one.is_healthy for pool in offer.pools for one in pool.units)
    assert offer.findings == ()


def test_a_match_may_mean_a_companion_and_the_unit_has_its_primary_one() -> None:
    host = machine(*card(1, 6))
    (unit,) = offered(host, entry(CARD, UnitKind.GROUP, class_name="audio")).of(By.PLUGIN)[CARD].units

    assert unit.unit is not None
    assert list(map(str, unit.unit.functions)) == ["0000:01:00.0", "0000:01:00.1"]


def test_a_unit_is_healthy_only_while_all_of_it_can_be_given() -> None:
    taken = card(1, 6)[0], replace(card(1, 6)[1], driver="snd_hda_intel", vfio_dev=None)
    (unit,) = offered(machine(*taken), CARDS).of(By.PLUGIN)[CARD].units

    assert not unit.is_healthy
    assert {"group-not-viable", "not-bound-to-vfio"} & set(unit.blockers)


def test_what_is_not_as_declared_is_not_healthy_until_a_pod_holds_it() -> None:
    host = machine(*card(1, 6))
    text = (
        "  devices:\n    - {match: {address: '01:00.1'}, driver: vfio_pci_other}\n"
        "  offer:\n    - {resource: example.com/gpu, match: {class: vga}}\n"
    )
    (unit,) = compose_offer(state(text), host).of(By.PLUGIN)[CARD].units
    assert unit.blockers == ("node-state-drifted",)
    assert unit.against[0].what == "0000:01:00.1: devices[0]: driver is vfio-pci, not vfio_pci_other"

    (unit,) = compose_offer(state(text), host, held={CARD: [unit.id]}).of(By.PLUGIN)[CARD].units
    assert unit.is_healthy


def test_vfs_of_a_pf_that_shall_have_others_may_go_at_any_time() -> None:
    text = (
        "  virtualFunctions:\n    - {match: {address: '81:00.0'}, count: 4}\n"
        "  offer:\n    - {resource: example.com/vf, match: {id: 8086:154c}}\n"
    )
    offer = compose_offer(state(text), machine(*port(0x81, 2, 20)))

    assert set(health(offer, VF).values()) == {("node-state-drifted",)}


def test_an_entry_that_means_nothing_is_told_and_stops_no_other() -> None:
    offer = offered(machine(*card(1, 6)), CARDS, VFS, entry("example.com/x", address=at("01:00.0"), id=(1, 2)))

    assert told(offer) == [("entry-unmatched", ""), ("identity-changed", "0000:01:00.0")]
    assert [finding.severity for finding in offer.findings] == [Severity.ERROR] * 2
    assert primaries(offer, CARD) == ["0000:01:00.0"]
    assert offer.of(By.PLUGIN)[VF].units == ()


def test_what_could_not_be_seen_is_not_called_absent() -> None:
    blind = replace(machine(), unread=(("/sys/bus/pci/devices", "Permission denied"),))

    assert told(offered(blind, VFS)) == [("host-unreadable", "offer[0]")]


def test_what_two_entries_mean_is_offered_by_neither() -> None:
    host = machine(*card(1, 6), *card(2, 7))
    one = entry("example.com/first", address=at("01:00.0"))
    offer = offered(host, CARDS, one)

    assert told(offer) == [("offer-conflict", "offer[1] (example.com/first), offer[0] (example.com/gpu)")]
    assert primaries(offer, CARD) == ["0000:02:00.0"]
    assert offer.of(By.PLUGIN)["example.com/first"].units == ()
    assert [one.blockers for one in offer.of(By.PLUGIN)["example.com/first"].excluded] == [("offer-conflict",)]


def test_functions_of_one_group_are_not_offered_one_by_one() -> None:
    offer = offered(
        machine(*card(1, 6)),
        entry(CARD, UnitKind.FUNCTION, id=(0x8086, 0x1EB8)),
        entry("example.com/audio", UnitKind.FUNCTION, id=(0x8086, 0x10F0)),
    )

    assert [pool.units for pool in offer.pools] == [(), ()]
    assert "share IOMMU group 6" in offer.findings[0].message


def test_a_whole_card_and_its_parts_exclude_each_other() -> None:
    split = card(1, 6)[0], replace(card(1, 6)[1], group=7)
    whole, part = (
        entry(CARD, UnitKind.SLOT, class_name="vga"),
        entry("example.com/audio", UnitKind.FUNCTION, class_name="audio"),
    )
    offer = offered(machine(*split), whole, part)

    assert [pool.units for pool in offer.pools] == [(), ()]
    assert "both have 0000:01:00.1" in offer.findings[0].message


def test_a_pf_is_not_offered_beside_its_vfs() -> None:
    host = machine(*port(0x81, 2, 20, driver="vfio-pci"))
    offer = offered(host, entry("example.com/pf", id=(0x8086, 0x1572)), VFS)

    assert offer.of(By.PLUGIN)["example.com/pf"].units == ()
    assert len(offer.of(By.PLUGIN)[VF].units) == 2
    assert [finding.severity for finding in offer.findings] == [Severity.WARNING]


def test_what_a_pod_holds_stays_and_what_shares_with_it_waits() -> None:
    host = machine(*card(1, 6))
    parts = entry("example.com/audio", UnitKind.FUNCTION, class_name="audio")
    held = ids(offered(host, CARDS), CARD)
    offer = offered(host, CARDS, parts, held={CARD: held})

    assert health(offer, CARD) == {held[0]: ()}
    assert list(health(offer, "example.com/audio").values()) == [("offer-conflict",)]
    assert offer.findings == ()


def test_an_id_is_in_one_list_only() -> None:
    host = machine(*card(1, 6))
    held = ids(offered(host, CARDS), CARD)
    offer = offered(host, entry("example.com/new", class_name="vga"), held={CARD: held})

    assert ids(offer, CARD) == held
    assert offer.of(By.PLUGIN)[CARD].entry is None
    assert health(offer, CARD) == {held[0]: ("unit-withdrawn",)}
    assert offer.of(By.PLUGIN)["example.com/new"].units == ()


def test_what_is_gone_stays_listed_while_a_pod_holds_it() -> None:
    host = machine(*port(0x81, 2, 20))
    held = ids(offered(host, VFS), VF)
    offer = offered(machine(*card(1, 6)), VFS, held={VF: held[:1]})

    assert health(offer, VF) == {held[0]: ("unit-gone",)}
    assert offer.of(By.PLUGIN)[VF].units[0].numa_node is None


def test_a_part_that_a_pod_holds_of_what_is_offered_as_a_whole_now_is_there() -> None:
    host = machine(*card(1, 6))
    parts = entry(CARD, UnitKind.FUNCTION, class_name="audio")
    held = ids(offered(host, parts), CARD)
    offer = offered(host, entry(CARD, UnitKind.GROUP, class_name="audio"), held={CARD: held})
    whole, part = offer.of(By.PLUGIN)[CARD].units

    assert (part.id, part.blockers) == (held[0], ("unit-withdrawn",))
    assert whole.blockers == ("offer-conflict",)
    assert whole.against[0].message == "a pod holds 0000:01:00.1 as example.com/gpu, and both have 0000:01:00.1"


def test_an_id_of_another_plugin_stays_listed_and_is_called_that() -> None:
    offer = offered(machine(*card(1, 6)), CARDS, held={CARD: ["43", "0000:01:00.0"]})

    assert [(one.is_healthy, one.blockers) for one in offer.of(By.PLUGIN)[CARD].units] == [
        (True, ()),
        (False, ("unit-unknown",)),
        (False, ("unit-unknown",)),
    ]


def test_what_something_else_has_is_not_healthy_nor_is_the_rest_of_its_group() -> None:
    host = machine(*card(1, 6), *card(2, 7))
    state_ = NodeState(offers=(CARDS,))
    offer = compose_offer(state_, host, taken={at("01:00.1"): "a VM of libvirt"})
    first, second = offer.of(By.PLUGIN)[CARD].units

    assert (set(first.blockers), second.blockers) == ({"device-in-use"}, ())
    assert first.against[0].what == "0000:01:00.0: its group 6 is held by a VM of libvirt, which has 0000:01:00.1"
    held = compose_offer(state_, host, held={CARD: [first.id]}, taken={at("01:00.1"): "its own pod"})
    assert [one.is_healthy for one in held.of(By.PLUGIN)[CARD].units] == [True, True]


def test_what_is_there_and_no_guest_could_have_is_not_called_absent() -> None:
    smbus = function("0000:00:1f.4", class_code=0x0C0500, driver="i801_smbus", vfio_dev=None, group=2)
    host = machine(smbus, bridge("0000:00:01.0", group=3))
    offer = offered(host, entry(CARD, class_name="0c05"), entry("example.com/port", address=at("00:01.0")))

    assert [one.message for one in offer.findings] == [
        "offer[0]: class 0c05 means parts of the board alone: 0000:00:1f.4",
        "offer[1]: is a bridge",
    ]


def test_another_card_in_the_place_of_a_held_one_is_another_unit() -> None:
    before = machine(*card(1, 6))
    held = ids(offered(before, CARDS), CARD)
    after = machine(*(replace(one, vendor=0x10DE) for one in card(1, 6)))
    listed = health(offered(after, CARDS, held={CARD: held}), CARD)

    assert listed.pop(held[0]) == ("unit-gone",)
    assert list(listed.values()) == [()]


def test_a_limit_leaves_out_what_no_pod_holds_and_what_cannot_be_given_first() -> None:
    broken = [replace(one, driver="nvidia", vfio_dev=None) for one in card(1, 6)]
    host = machine(*broken, *card(2, 7), *card(3, 8), *card(4, 9))
    two = entry(CARD, limit=2, class_name="vga")

    offer = offered(host, two)
    assert primaries(offer, CARD) == ["0000:02:00.0", "0000:03:00.0"]
    assert offer.of(By.PLUGIN)[CARD].spare == 2

    everything = ids(offered(host, CARDS), CARD)
    assert ids(offered(host, two, held={CARD: everything[3:]}), CARD) == [everything[1], everything[3]]
    assert ids(offered(host, two, held={CARD: everything[1:]}), CARD) == everything[1:]


def test_what_is_offered_by_claim_is_in_a_pool_of_claims() -> None:
    offer = offered(machine(*card(1, 6)), CARDS._replace(by=By.CLAIM))
    (pool,) = offer.pools

    assert (pool.by, pool.resource, [one.is_healthy for one in pool.units]) == (By.CLAIM, CARD, [True])
    assert (offer.of(By.CLAIM), offer.of(By.PLUGIN), told(offer)) == ({CARD: pool}, {}, [])


def test_units_of_claims_are_listed_beside_what_shares_with_them() -> None:
    host = machine(*card(1, 6), *port(0x81, 2, 20, driver="vfio-pci"))
    whole = CARDS._replace(by=By.CLAIM)
    part = entry("example.com/audio", UnitKind.FUNCTION, class_name="audio")._replace(by=By.CLAIM)
    above = entry("example.com/pf", id=(0x8086, 0x1572))._replace(by=By.CLAIM)
    offer = offered(host, whole, part, above, VFS._replace(by=By.CLAIM))

    assert told(offer) == []
    assert [(pool.resource, len(pool.units), pool.excluded) for pool in offer.pools] == [
        ("example.com/audio", 1, ()),
        (CARD, 1, ()),
        ("example.com/pf", 1, ()),
        (VF, 2, ()),
    ]
    # A PF with VFs cannot be given, nor VFs of a PF on vfio-pci, whatever else is offered.
    assert {code for pool in offer.pools for one in pool.units for code in one.blockers} == {
        "pf-with-vfs",
        "vf-token-needed",
    }


def test_what_claims_and_pods_could_be_given_goes_to_neither_and_of_a_port_the_vfs_stay() -> None:
    host = machine(*card(1, 6), *port(0x81, 2, 20, driver="vfio-pci"))
    part = entry("example.com/audio", UnitKind.FUNCTION, class_name="audio")._replace(by=By.CLAIM)
    above = entry("example.com/pf", id=(0x8086, 0x1572))._replace(by=By.CLAIM)
    offer = offered(host, CARDS, part, above, VFS)

    assert [code for code, _ in told(offer)] == ["offer-conflict"] * 2
    assert [(pool.by, pool.resource, len(pool.units), len(pool.excluded)) for pool in offer.pools] == [
        (By.CLAIM, "example.com/audio", 0, 1),
        (By.PLUGIN, CARD, 0, 1),
        (By.CLAIM, "example.com/pf", 0, 1),
        (By.PLUGIN, VF, 2, 0),
    ]


def test_every_unit_of_claims_waits_for_the_pod_that_holds_what_it_shares_with() -> None:
    """Also where claims share it among themselves: none of them stands in for another."""
    host = machine(*card(1, 6))
    parts = [
        entry(f"example.com/{name}", UnitKind.FUNCTION, class_name=name)._replace(by=By.CLAIM)
        for name in ("vga", "audio")
    ]
    held = ids(offered(host, CARDS), CARD)
    offer = offered(host, CARDS, *parts, held={CARD: held})

    assert health(offer, CARD) == {held[0]: ()}
    of_claims = [(one.blockers) for pool in offer.of(By.CLAIM).values() for one in (*pool.units, *pool.excluded)]
    assert of_claims == [("offer-conflict",), ("offer-conflict",)]


def test_a_resource_on_its_way_from_the_plugin_to_claims_has_a_pool_of_each() -> None:
    host = machine(*card(1, 6), *card(2, 7))
    first, second = ids(offered(host, CARDS), CARD)
    offer = offered(host, CARDS._replace(by=By.CLAIM), held={CARD: [first]})
    claims, plugin = offer.pools

    assert (claims.by, plugin.by, plugin.entry) == (By.CLAIM, By.PLUGIN, None)
    assert [(one.id, one.blockers) for one in plugin.units] == [(first, ("unit-withdrawn",))]
    assert [one.id for one in claims.units] == [second]
    assert [one.id for one in claims.excluded] == [first]
    assert claims.excluded[0].against[0].message == (
        "a pod holds 0000:01:00.0 as example.com/gpu, and both have 0000:01:00.0"
    )
    back = compose_offer(NodeState(offers=(CARDS,)), host, claimed={CARD: [first]})
    assert [(pool.by, [one.id for one in pool.units]) for pool in back.pools] == [
        (By.CLAIM, [first]),
        (By.PLUGIN, [second]),
    ]
    gone = compose_offer(NodeState(), machine(), claimed={CARD: [first]}).of(By.CLAIM)[CARD].units[0]
    assert (gone.unit, gone.is_held, gone.against[0].message) == (
        None,
        True,
        "a claim holds it as example.com/gpu, and it is no longer there",
    )


def test_names_of_several_documents_that_one_variable_stands_for_are_not_offered() -> None:
    host = machine(*card(1, 6), *port(0x81, 2, 20))
    offer = offered(host, CARDS, entry("example.com/GPU", id=(0x8086, 0x154C)))

    assert offer.pools == ()
    assert "one variable in a VM's pod" in offer.findings[0].message


def test_parts_of_the_board_are_offered_only_by_name() -> None:
    smbus = function("0000:00:1f.4", class_code=0x0C0500, driver="i801_smbus", vfio_dev=None, group=2)
    host = machine(smbus)

    assert told(offered(host, entry(CARD, id=(0x8086, 0x1572)))) == [("entry-unmatched", "")]
    (unit,) = offered(host, entry(CARD, address=at("00:1f.4"))).of(By.PLUGIN)[CARD].units
    assert "platform-device" in unit.blockers


def test_a_state_without_an_offer_offers_nothing() -> None:
    assert compose_offer(NodeState(), Machine()) == Offer(Basis(NodeState(), Machine(), {}), ())
    assert compose_offer(NodeState(), machine(function("0000:01:00.0", class_code=GPU))).pools == ()
