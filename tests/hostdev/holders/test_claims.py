"""What our driver prepared of resource claims, beside kubelet's own record: who has it, and when it is over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostdev.holders.claim import How, State
from hostdev.holders.grants import Kubelet
from hostdev.holders.holders import Answer, Asked, find_holders
from hostdev.holders.inquiry import describe_holders
from hostdev.holders.kubelet import ask_kubelet
from hostdev.holders.pods import granted_twice, held_by_others
from hostdev.kubelet.claimgrants import claim_grants
from hostdev.kubelet.claimrecords import ClaimRecord, as_document, records_directory
from hostdev.kubelet.resourcename import DRIVER
from hostdev.units.compose import compose_units
from tests.hostdev.gate.build import AUDIO, GPU, at, function, machine
from tests.hostdev.holders.grants import grant
from tests.hostdev.kubelet.claims import record, unit

CARD, SOUND, OTHER = "0000:3d:00.0", "0000:3d:00.1", "0000:3e:00.0"
HOST = machine(
    function(CARD, group=61, class_code=GPU, vendor=0x10DE, device=0x1EB8),
    function(SOUND, group=61, class_code=AUDIO, vendor=0x10DE, device=0x10F8),
    function(OTHER, group=62, class_code=GPU),
)
POD, SECOND = "0a1b2c3d-0000-4000-8000-00000000000a", "0a1b2c3d-0000-4000-8000-00000000000b"
CLAIM = "default/dr0-gpu-f27z2"
UNIT = next(one.id for one in compose_units(HOST) if one.primary == at(CARD))
CARD_UNIT = unit()._replace(unit=UNIT)
HELD = record(CARD_UNIT, pods=(("dr0", POD),))
ASKED = (Asked(How.OPEN), Asked(How.CHECKPOINT), Asked(How.CLAIM), Asked(How.PODRESOURCES))


def ask(address: str, *records: ClaimRecord, alive: frozenset[str] | None = frozenset({POD, SECOND})) -> Answer:
    kubelet = Kubelet((), (), alive=alive, records=records)
    return find_holders(HOST.functions[at(address)], HOST, (), kubelet, ASKED)


@pytest.mark.parametrize("address", [CARD, SOUND])
def test_every_function_of_the_unit_is_held_by_the_claim(address: str) -> None:
    answer = ask(address, HELD)
    (claim,) = answer.holding

    assert (claim.how, claim.who, claim.holder, claim.container) == (How.CLAIM, "example.com/gpu", "default/dr0", None)
    assert (claim.unit, claim.resource_claim, claim.exact) == (UNIT, CLAIM, True)
    assert answer.state is State.ALLOCATED
    assert f"claim {CLAIM} is prepared" in describe_holders(answer.holding)


def test_what_no_claim_holds_is_free() -> None:
    assert ask(OTHER, HELD).state is State.FREE


def test_the_claim_of_a_gone_pod_holds_nothing_and_is_told() -> None:
    answer = ask(CARD, HELD, alive=frozenset())

    assert answer.holding == ()
    assert [finding.code for finding in answer.findings] == ["claim-of-gone-pod"]


def test_a_claim_that_names_no_pod_holds_its_units_all_the_same() -> None:
    answer = ask(CARD, record(CARD_UNIT, pods=()))

    assert [(claim.pod, claim.how) for claim in answer.holding] == [(None, How.CLAIM)]
    assert answer.findings == ()
    assert "a pod that is not known" not in describe_holders(answer.holding)
    assert "pod that is not known" in describe_holders(answer.holding)


def test_pods_that_share_a_claim_are_told_of() -> None:
    grants = claim_grants([record(pods=(("dr0", POD), ("dr1", SECOND)))], "")
    (finding,) = granted_twice(grants, HOST)

    assert finding.code == "granted-twice"
    assert finding.message.count(f"claim {CLAIM}") == 2


def test_other_pods_hold_what_was_prepared_for_them() -> None:
    grants = claim_grants([HELD], "")

    assert held_by_others(grants, [POD], HOST) == {}
    assert f"claim {CLAIM}" in held_by_others(grants, [SECOND], HOST)[at(SOUND)]
    assert [one.code for one in granted_twice((*grants, grant(CARD, pod=SECOND)), HOST)] == ["granted-twice"]


def test_the_grants_of_a_claim_have_all_primaries_first() -> None:
    both = record(unit(0x3D), unit(0x3E), unit(0x3F, resource="example.com/nic"), pods=(("dr0", POD),))
    gpu, nic = claim_grants([both], both.boot_id)

    assert gpu.environment == (("PCI_RESOURCE_EXAMPLE_COM_GPU", "0000:3d:00.0,0000:3e:00.0,0000:3d:00.1,0000:3e:00.1"),)
    assert (gpu.claim, nic.claim, nic.device_ids) == (CLAIM, CLAIM, ("0000:3f-00.0-10de.1eb8",))
    assert claim_grants([both], "another-boot") == ()


def test_kubelet_s_directory_is_asked_for_records(tmp_path: Path) -> None:
    assert How.CLAIM not in {one.how for one in ask_kubelet(str(tmp_path), None)[1]}
    directory = Path(records_directory(str(tmp_path), DRIVER))
    directory.mkdir(parents=True)
    (directory / f"{HELD.uid}.json").write_text(json.dumps(as_document(HELD)))

    kubelet, asked = ask_kubelet(str(tmp_path), None)
    assert kubelet.records == (HELD,)
    assert Asked(How.CLAIM) in asked

    (directory / f"{HELD.uid}.json").write_text("{")
    (why,) = (one.why for one in ask_kubelet(str(tmp_path), None)[1] if one.how is How.CLAIM)
    assert f"{HELD.uid}.json" in why
