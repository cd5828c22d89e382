"""Grants of resources that are offered here: kubelet knows the devices by the ids of units."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from domxml.errors import SENTENCE_LIMIT
from hostdev.holders.claim import How, State
from hostdev.holders.grants import Kubelet, contradictions, devices_of_grant, devices_of_ids
from hostdev.holders.holders import Answer, Asked, find_holders, name_unknown_units
from hostdev.holders.inquiry import describe_holders
from hostdev.holders.pods import granted_twice, held_by_others
from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.podresources import PodDevices
from hostdev.units.compose import compose_units
from tests.hostdev.gate.build import AUDIO, GPU, at, function, machine
from tests.hostdev.holders.grants import grant

NIC, CARD, SOUND, SPLIT = "0000:3d:02.1", "0000:65:00.0", "0000:65:00.1", "0000:66:00.0"
OF_SPLIT = "0000:66:00.1"
HOST = machine(
    function(NIC, group=43),
    function(CARD, group=50, class_code=GPU),
    function(SOUND, group=50, class_code=AUDIO),
    function(SPLIT, group=61, class_code=GPU),
    function(OF_SPLIT, group=62, class_code=AUDIO),
)
IDS = {str(unit.primary): unit.id for unit in compose_units(HOST)}
GONE = "0000:70-00.0-10de.2204"
VARIABLE = "PCI_RESOURCE_A_B_C"
A, B = "0a1b2c3d-0000-4000-8000-00000000000a", "0a1b2c3d-0000-4000-8000-00000000000b"
ASKED = (Asked(How.OPEN), Asked(How.CHECKPOINT), Asked(How.PODRESOURCES))


def ask(address: str, *grants: Grant, listed: PodDevices | None = None, alive: frozenset[str] | None = None) -> Answer:
    kubelet = Kubelet(grants, (listed,) if listed else None, alive=alive)
    asked = tuple(name_unknown_units(ASKED, HOST, kubelet))
    return find_holders(HOST.functions[at(address)], HOST, (), kubelet, asked)


UNITS: Mapping[str, tuple[Grant, dict[str, str | None]]] = {
    "the id alone": (grant(IDS[NIC]), {NIC: IDS[NIC]}),
    "two of them": (grant(IDS[NIC], IDS[CARD]), {NIC: IDS[NIC], CARD: IDS[CARD]}),
    "a companion of the group": (
        grant(IDS[CARD], env={VARIABLE: f"{CARD},{SOUND}"}),
        {CARD: IDS[CARD], SOUND: IDS[CARD]},
    ),
    "a companion of the slot": (
        grant(IDS[SPLIT], env={VARIABLE: f"{SPLIT},{OF_SPLIT}"}),
        {SPLIT: IDS[SPLIT], OF_SPLIT: IDS[SPLIT]},
    ),
    "nodes tell the companion": (
        grant(IDS[SPLIT], nodes=("/dev/vfio/61", "/dev/vfio/62")),
        {SPLIT: IDS[SPLIT], OF_SPLIT: IDS[SPLIT]},
    ),
    "an id of another machine, and a variable": (grant(GONE, env={VARIABLE: NIC}), {NIC: None}),
    "an id of another machine": (grant(GONE), {}),
    "another plugin's name": (grant("44", env={VARIABLE: NIC}), {NIC: None}),
}


@pytest.mark.parametrize("case", UNITS)
def test_the_unit_of_a_device(case: str) -> None:
    given, expected = UNITS[case]

    assert {str(one.device): one.unit for one in devices_of_grant(given, HOST)} == expected


def test_names_alone() -> None:
    (found,) = devices_of_ids([IDS[NIC], GONE], HOST)

    assert (found.device, found.by, found.exact, found.unit) == (at(NIC), f"unit {IDS[NIC]}", True, IDS[NIC])


def test_a_companion_of_a_unit_that_only_podresources_tells() -> None:
    (claim,) = ask(SOUND, listed=PodDevices("default", "vm", "compute", "a.b/c", (IDS[CARD],))).claims

    assert (claim.unit, claim.exact) == (IDS[CARD], False)


@pytest.mark.parametrize(
    ("ids", "named", "said"),
    [
        ([IDS[NIC]], NIC, []),
        ([IDS[CARD]], f"{CARD},{SOUND}", []),
        ([IDS[SPLIT]], f"{SPLIT},{OF_SPLIT}", []),
        ([IDS[NIC], IDS[CARD]], f"{NIC},{CARD},{SOUND}", []),
        (["43"], CARD, []),
        ([GONE], "0000:70:00.0", []),
        ([GONE], "0000:70:00.0,0000:3d:02.1", []),
        ([GONE], NIC, [f"its variable names {NIC}: {NIC} is in no such unit here"]),
        ([IDS[CARD]], f"{CARD},{NIC}", [f"{NIC} is in no such unit here"]),
        ([IDS[NIC]], CARD, [f"was given unit {IDS[NIC]}, which is {NIC} here", f"{CARD} is in no such unit here"]),
        ([IDS[NIC]], "0000:71:00.0", [f"was given unit {IDS[NIC]}, which is {NIC} here"]),
    ],
)
def test_ids_and_variables_that_contradict_each_other(ids: list[str], named: str, said: list[str]) -> None:
    found = list(contradictions(grant(*ids, env={VARIABLE: named}, pod=A), HOST))

    assert [one.code for one in found] == ["offer-record-differs"] * len(said)
    assert all(text in one.message for one, text in zip(found, said, strict=True))
    assert all(len(one.message) < SENTENCE_LIMIT for one in found)


def test_a_contradiction_is_told_of_both_devices_while_the_pod_is_there() -> None:
    wrong = grant(IDS[NIC], env={VARIABLE: CARD}, pod=A)
    codes = {address: [one.code for one in ask(address, wrong).findings] for address in (NIC, CARD, SPLIT)}

    assert "offer-record-differs" in codes[NIC]
    assert "offer-record-differs" in codes[CARD]
    assert codes[SPLIT] == []
    assert [one.code for one in ask(NIC, wrong, alive=frozenset({B})).findings] == ["grant-of-gone-pod"]


def test_nothing_is_free_beside_an_id_that_the_machine_has_not() -> None:
    entry = PodDevices("default", "vm", "compute", "a.b/c", (GONE,))
    answer = ask(NIC, grant(GONE, pod=A), listed=entry)

    assert (answer.state, answer.complete) == (State.UNKNOWN, False)
    assert [GONE in one.why for one in answer.asked] == [False, True, True]
    assert ask(NIC, grant(GONE, pod=A), alive=frozenset({B})).state is State.FREE
    assert ask(NIC, grant(GONE, env={VARIABLE: "0000:70:00.0"}, pod=A), listed=entry).state is State.FREE
    assert ask(NIC, grant("gpu-1", pod=A)).state is State.FREE


def test_what_else_speaks_of_a_grant_names_the_unit() -> None:
    both = (grant(IDS[NIC], pod=A), grant(IDS[NIC], pod=B, resource="x.y/z"))
    (twice,) = granted_twice(both, HOST)

    assert f"(a.b/c, unit {IDS[NIC]})" in twice.message
    assert f"(a.b/c, unit {IDS[NIC]})" in ask(NIC, *both).findings[0].message
    assert held_by_others(both[:1], (), HOST) == {at(NIC): f"pod {A}, granted as a.b/c, unit {IDS[NIC]}"}
    assert f"granted a.b/c, unit {IDS[NIC]}" in describe_holders(ask(NIC, both[0]).holding)
