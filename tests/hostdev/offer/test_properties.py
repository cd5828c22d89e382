"""What holds of any offer of any machine: what is offered can be given, and its names stay."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import NamedTuple

from hypothesis import given, settings

from domxml.pciaddress import PciAddress
from hostdev.binding.state import By, NodeState, UnitKind
from hostdev.inventory.machine import HostUse, Machine, PciFunction
from hostdev.inventory.places import is_id
from hostdev.offer.compose import compose_offer
from hostdev.offer.grant import findings_against, make_grant
from hostdev.offer.pool import Offer, OfferedUnit
from hostdev.offer.refresh import refresh_offer
from hostdev.units.compose import compose_units
from tests.hostdev.offer.questions import QUESTIONS, RANDOM, Question, with_nodes
from tests.hostdev.units.enumeration import relisted, renumbered, shuffled


def listed(offer: Offer) -> list[OfferedUnit]:
    return [one for pool in offer.pools for one in pool.units]


class Holding(NamedTuple):
    """What pods and claims may hold."""

    held: dict[str, list[str]]
    claimed: dict[str, list[str]]

    def compose(self, state: NodeState, picture: Machine) -> Offer:
        return compose_offer(state, picture, held=self.held, claimed=self.claimed)

    def shuffled(self, random: Random) -> Holding:
        return Holding(shuffled(self.held, random), shuffled(self.claimed, random))


def some_held(offer: Offer, random: Random) -> Holding:
    """Some units that go beside each other."""
    holding, taken = Holding({}, {}), set[object]()
    for pool in offer.pools:
        for one in pool.units:
            things = {*one.unit.functions, *one.unit.groups} if one.unit else set()
            if one.is_healthy and random.random() < 0.4 and taken.isdisjoint(things):
                taken |= things
                (holding.held if pool.by is By.PLUGIN else holding.claimed).setdefault(pool.resource, []).append(one.id)
    return holding


@settings(max_examples=120, deadline=None)
@given(QUESTIONS, RANDOM)
def test_what_is_healthy_can_be_given_beside_all_else_that_is(question: Question, random: Random) -> None:
    """A unit of claims beside all that the plugin has; claims exclude each other by counters."""
    state, picture = question
    free = compose_offer(state, picture)
    for offer in (free, some_held(free, random).compose(state, picture)):
        of_plugin, of_claims = (
            [one.unit for pool in offer.of(by).values() for one in pool.units if one.is_healthy and one.unit]
            for by in (By.PLUGIN, By.CLAIM)
        )
        for units in (of_plugin, *([*of_plugin, one] for one in of_claims)):
            functions = [address for unit in units for address in unit.functions]
            groups = [group for unit in units for group in unit.groups]

            assert len(functions) == len(set(functions))
            assert len(groups) == len(set(groups))
            assert not {picture.functions[address].physfn for address in functions} & set(functions)
            assert all(unit.ready for unit in units)
        for pool in offer.pools:
            own = [one.id for one in pool.units if one.is_healthy]
            found = findings_against(offer, pool.resource, own, pool.by)
            shared = {"offer-conflict"} if pool.by is By.CLAIM and offer.basis.claimed else set()
            assert {one.code for one in found} <= {"set-broken", *shared}
            assert len(make_grant(offer, pool.resource, own, pool.by).units) == len(own)


@settings(max_examples=60, deadline=None)
@given(QUESTIONS, RANDOM)
def test_ids_are_fit_for_kubelet_and_what_is_held_stays_listed(question: Question, random: Random) -> None:
    state, picture = question
    held = some_held(compose_offer(state, picture), random)
    gone = random.sample(sorted(picture.functions), len(picture.functions) // 2)
    fewer = replace(picture, functions={a: one for a, one in picture.functions.items() if a not in gone})
    for offer in (held.compose(state, picture), held.compose(state, fewer)):
        ids = [one.id for one in listed(offer)]
        of_plugin, of_claims = ([one.id for p in offer.of(by).values() for one in p.units] for by in By)

        assert len(of_plugin) == len(set(of_plugin))
        assert all(len(pool.by_id) == len(pool.units) for pool in offer.pools)
        assert not set(of_plugin) & set(of_claims), "a unit is never in both"
        assert all(is_id(one) and 0 < len(one) <= 63 and not {",", "/", " "} & set(one) for one in ids)
        for by, own in ((By.PLUGIN, held.held), (By.CLAIM, held.claimed)):
            assert all(set(some) <= offer.of(by)[resource].by_id.keys() for resource, some in own.items())


@settings(max_examples=60, deadline=None)
@given(QUESTIONS, RANDOM)
def test_the_order_of_files_and_of_entries_changes_nothing(question: Question, random: Random) -> None:
    state, picture = question
    held = some_held(compose_offer(state, picture), random)
    offer = held.compose(state, picture)
    other = state._replace(offers=tuple(random.sample(state.offers, len(state.offers))))
    again = held.shuffled(random).compose(other, relisted(picture, random))

    assert again.pools == offer.pools
    assert sorted(again.findings) == sorted(offer.findings)


@settings(max_examples=60, deadline=None)
@given(QUESTIONS, RANDOM)
def test_another_enumeration_offers_the_same_ids(question: Question, random: Random) -> None:
    state, picture = question
    # Where the way to a function is not known, its address is all there is; limits keep what can be given.
    state = state._replace(offers=tuple(entry._replace(limit=None) for entry in state.offers), sets=())
    moved = renumbered(picture, random)
    by_address = {str(address) for address in picture.functions}

    def ids(offer: Offer) -> dict[str, set[str]]:
        return {
            pool.resource: {one.id for one in pool.units if not any(map(one.id.startswith, by_address))}
            for pool in offer.pools
        }

    before, after = ids(compose_offer(state, picture)), ids(compose_offer(state, moved))
    assert all(before[resource] <= after[resource] for resource in before)


@settings(max_examples=60, deadline=None)
@given(QUESTIONS, RANDOM)
def test_what_comes_and_goes_elsewhere_leaves_the_ids(question: Question, random: Random) -> None:
    state, picture = question
    vfs = {a for a, one in picture.functions.items() if one.physfn is not None}
    needed = {above for one in picture.functions.values() for above in (one.parent, one.physfn) if above is not None}
    some = {a for a in picture.functions if random.random() < 0.5} - needed - vfs
    before = {unit.id: unit.primary for unit in compose_units(picture, UnitKind.FUNCTION, picture.functions)}

    for gone in (vfs, some):
        left = {
            a: replace(one, virtfns=() if gone is vfs else one.virtfns)
            for a, one in picture.functions.items()
            if a not in gone
        }
        kept = {one.id for one in listed(compose_offer(state, replace(picture, functions=left)))}
        assert kept <= before.keys()
        assert all(before[one] not in gone for one in kept)


@settings(max_examples=150, deadline=None)
@given(QUESTIONS, RANDOM)
def test_a_refreshed_offer_is_the_one_composed_anew(question: Question, random: Random) -> None:
    state, picture = question
    held = some_held(compose_offer(state, picture), random)
    taken: dict[PciAddress | str, str] = {
        address: "another plugin" for address in picture.functions if random.random() < 0.1
    }
    last = compose_offer(state, picture, held=held.held, taken=taken, claimed=held.claimed)
    functions = dict(picture.functions)
    offered = sorted({address for one in listed(last) if one.unit for address in one.unit.functions})
    for address in (one for one in offered or functions if random.random() < 2 / len(offered or functions)):
        functions[address] = _changed(functions[address], random)
    now = (
        with_nodes(replace(picture, functions=functions))
        if random.random() < 0.8
        else replace(picture, functions=functions)
    )

    anew = compose_offer(state, now, held=held.held, taken=taken, claimed=held.claimed)
    assert refresh_offer(last, last.basis._replace(machine=now)) == anew


def _changed(one: PciFunction, random: Random) -> PciFunction:
    changes: tuple[dict[str, object], ...] = (
        {"driver": "nvidia", "vfio_dev": None},
        {"driver": None, "vfio_dev": None},
        {"driver": "vfio-pci", "vfio_dev": "vfio99", "use": HostUse()},
        {"driver_override": "nvidia"},
        {"removing": True},
        {"num_vfs": 0},
        {"device": 0x1234},
        {"reset_methods": ("bus",)},
    )
    return replace(one, **random.choice(changes))  # type: ignore[arg-type]
