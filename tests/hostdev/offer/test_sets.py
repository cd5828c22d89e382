"""Sets of units: GPUs that NVLink joins, given as a whole."""

from __future__ import annotations

import pytest

from domxml.finding import Severity
from hostdev.binding.state import By, NodeState
from hostdev.binding.statefile import read_states, state_for
from hostdev.offer.compose import compose_offer
from hostdev.offer.grant import findings_against
from hostdev.offer.pool import Offer
from hostdev.offer.prefer import prefer_units
from tests.hostdev.gate.build import machine
from tests.hostdev.machines.fixtures import picture
from tests.hostdev.offer.offers import CARD, card, state
from tests.house import ROOT

HGX = ROOT / "tests/fixtures/nodestate/hgx.yaml"
RESOURCE = "nvidia.com/H100"
GPUS = ("19:00.0", "1a:00.0", "4a:00.0", "4b:00.0", "8c:00.0", "8d:00.0", "cb:00.0", "cc:00.0")
"""By the numbers 1 to 8."""


def declared() -> NodeState:
    found = state_for(read_states(HGX.read_bytes(), HGX.name), picture("hgx-h100"), None)
    assert found is not None
    return found


STATE = declared()


def offer(**held: list[str]) -> Offer:
    return compose_offer(STATE, picture("hgx-h100"), held={RESOURCE: [ID[int(n)] for n in held.get("held", [])]})


ID = {
    GPUS.index(str(one.unit.primary).removeprefix("0000:")) + 1: one.id
    for one in compose_offer(STATE, picture("hgx-h100")).of(By.PLUGIN)[RESOURCE].units
    if one.unit
}
NUMBER = {id_: number for number, id_ in ID.items()}


def chosen(size: int, available: str = "12345678", must: str = "") -> str:
    """The numbers of what is preferred."""
    found = prefer_units(
        offer().of(By.PLUGIN)[RESOURCE], [ID[int(n)] for n in available], [ID[int(n)] for n in must], size
    )
    return "".join(sorted(str(NUMBER[one]) for one in found))


def test_the_sets_of_a_file_are_those_of_its_pool() -> None:
    found = offer()

    assert found.findings == ()
    assert {one.name: len(one.ids) for one in found.of(By.PLUGIN)[RESOURCE].sets} == {
        "all-8": 8,
        "four-1": 4,
        "four-5": 4,
        "two-1": 2,
        "two-3": 2,
        "two-5": 2,
        "two-7": 2,
    }


@pytest.mark.parametrize(
    ("size", "available", "must", "preferred"),
    [
        (8, "12345678", "", "12345678"),
        (4, "12345678", "", "1234"),
        (2, "12345678", "", "12"),
        # A set whose larger set is broken already is broken first.
        (2, "1234567", "", "56"),
        (2, "345678", "", "34"),
        (4, "2345678", "", "5678"),
        # One alone is taken where no set is left whole, or the smallest breaks.
        (1, "1235678", "", "3"),
        (1, "345678", "", "3"),
        (1, "5", "", "5"),
        (6, "12345678", "", "123456"),
        (3, "12345678", "", "123"),
        (2, "12345678", "6", "56"),
        (4, "12345678", "6", "5678"),
        (3, "135", "", "135"),
    ],
)
def test_whole_sets_are_preferred(size: int, available: str, must: str, preferred: str) -> None:
    assert chosen(size, available, must) == preferred


def against(numbers: str, held: str = "") -> list[str]:
    found = findings_against(offer(held=list(held)), RESOURCE, [ID[int(n)] for n in numbers])
    assert {one.code for one in found} <= {"set-broken"}
    return [one.message for one in found]


def test_a_part_of_a_set_is_refused_with_what_is_free() -> None:
    assert against("12") == against("1234") == against("1256") == against("12345678") == []
    assert against("13", held="1278") == [
        "0000:19:00.0, 0000:4a:00.0 is given without the rest of all-8, four-1, two-1, two-3; free are two-3, two-5"
    ]
    assert against("1", held="1") == [
        "0000:19:00.0 is given without the rest of all-8, four-1, two-1; no set of 1 is free"
    ]


SETS = """\
apiVersion: passgate.dev/v1
kind: UnitSets
spec:
  sets:
  - {name: pair, functions: [{address: '01:00.0'}, {address: '02:00.0'}]}
"""
CARDS = "  offer: [{resource: example.com/gpu, match: {class: vga}}]\n"


def with_sets(text: str = SETS, offers: str = CARDS) -> NodeState:
    (sets,) = read_states(text.encode(), "sets.yaml")
    return state(offers).joined(sets)


def test_a_set_with_a_function_that_is_not_there_is_not_used() -> None:
    found = compose_offer(with_sets(), machine(*card(1, 6), *card(3, 7)))

    assert [(one.code, one.subject, one.message) for one in found.findings] == [
        ("set-incomplete", "sets[0]", "pair: no device is address 0000:02:00.0")
    ]
    assert found.of(By.PLUGIN)[CARD].sets == ()


def test_a_set_of_what_is_not_offered_is_not_used() -> None:
    offers = "  offer: [{resource: example.com/gpu, match: {address: '01:00.0'}}]\n"
    found = compose_offer(with_sets(offers=offers), machine(*card(1, 6), *card(2, 7)))

    assert [(one.severity, one.message) for one in found.findings] == [
        (Severity.WARNING, "pair: no resource offers 0000:02:00.0")
    ]


def test_a_set_without_whole_is_advice_alone() -> None:
    found = compose_offer(with_sets(), machine(*card(1, 6), *card(2, 7), *card(3, 8)))
    pool = found.of(By.PLUGIN)[CARD]

    assert [findings_against(found, CARD, [one.id]) for one in pool.units] == [(), (), ()]
    assert prefer_units(pool, [one.id for one in pool.units], [], 1) == (pool.units[2].id,)
    assert prefer_units(pool, [one.id for one in pool.units], [], 2) == (pool.units[0].id, pool.units[1].id)
