"""Claims prepared and undone: what is answered, what is refused, and what is left on the disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from hooksidecar.claims.apierrors import ApiRefused, Asked
from hooksidecar.claims.source import ClaimRef
from hostdev.binding.state import By
from hostdev.kubelet.claimrecords import NewerRecord
from hostdev.offer.compose import compose_offer
from tests.hooksidecar.claims.node import (
    AWAY,
    CDI,
    FIRST,
    GONE,
    NODE,
    OTHER,
    OTHER_BOOT,
    REF,
    SECOND,
    Node,
    cards,
    claim,
    state,
)
from tests.hostdev.gate.build import machine
from tests.hostdev.kubelet.claims import DRIVER
from tests.hostdev.offer.offers import CARD, card
from tests.patience import PATIENCE, until

RECORD = f"kubelet/plugins/{DRIVER}/claims/{REF.uid}.json"
METADATA = f"kubelet/plugins/{DRIVER}/dra-device-metadata/default_{REF.name}/gpu/metadata.json"


def cdi(node: Node, ref: ClaimRef = REF) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(node.files()[f"cdi/{DRIVER}-{ref.uid}.json"])
    return found


def address_told(node: Node, path: str = METADATA) -> str:
    document, _ = json.JSONDecoder().raw_decode(node.files()[path].decode())
    found: str = document["requests"][0]["devices"][0]["attributes"]["resource.kubernetes.io/pciBusID"]["string"]
    return found


def test_a_claim_is_prepared_with_three_files_and_undone_with_none(node: Node) -> None:
    (device,) = node.prepare()

    assert device == (("gpu",), NODE, FIRST, (f"{DRIVER}/claim={REF.uid}-{FIRST}",))
    assert set(node.files()) == {RECORD, METADATA, CDI}
    assert cdi(node)["containerEdits"]["env"] == ["PCI_RESOURCE_EXAMPLE_COM_GPU=0000:3d:00.0,0000:3d:00.1"]
    assert [one["path"] for one in cdi(node)["devices"][0]["containerEdits"]["deviceNodes"]] == [
        "/dev/vfio/61",
        "/dev/vfio/devices/vfio122",
        "/dev/vfio/devices/vfio123",
    ]
    assert cdi(node)["devices"][0]["containerEdits"]["mounts"][0]["hostPath"] == str(node.kubelet_dir.parent / METADATA)
    assert node.unprepare() is None
    assert node.files() == {}


def test_what_is_prepared_is_answered_again_without_the_api_server_and_without_a_write(node: Node) -> None:
    answer = node.prepare()
    before = {path.name: path.stat().st_ino for path in node.kubelet_dir.parent.rglob("*.json")}
    node.api.put(AWAY)
    node.start()

    assert node.prepare() == answer
    assert {path.name: path.stat().st_ino for path in node.kubelet_dir.parent.rglob("*.json")} == before
    assert len(node.api.asked) == 1


def test_two_calls_at_once_for_one_claim_are_answered_alike(node: Node) -> None:
    both, both_had_time = threading.Barrier(2), threading.Event()
    node.api.put(lambda _within: both_had_time.wait(0.05) or claim(FIRST))
    answers: list[object] = []

    def ask() -> None:
        both.wait(PATIENCE)
        answers.append(node.preparer.prepare([REF], 45)[REF.uid])

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert len(answers) == 2
    assert answers[0] == answers[1] == list(node.prepare())
    assert len(node.api.asked) == 1


def test_a_claim_that_is_gone_is_undone_from_what_is_here(node: Node) -> None:
    node.prepare()
    node.api.put(GONE)
    node.start()

    assert node.unprepare() is None
    assert node.files() == {}
    assert node.unprepare() is None


def test_two_requests_have_a_file_each_and_one_variable(node: Node) -> None:
    one = claim(FIRST, SECOND, template=False)
    for number, result in enumerate(one["status"]["allocation"]["devices"]["results"]):
        result["request"] = ("a", "b/large")[number]
    node.api.put(one)

    first, second = node.prepare()

    assert (first.requests, second.requests) == (("a",), ("b",))
    assert address_told(node, METADATA.replace("/gpu/", "/a/")) == "0000:3d:00.0"
    assert address_told(node, METADATA.replace("/gpu/", "/b/")) == "0000:3e:00.0"
    assert cdi(node)["containerEdits"]["env"] == [
        "PCI_RESOURCE_EXAMPLE_COM_GPU=0000:3d:00.0,0000:3e:00.0,0000:3d:00.1,0000:3e:00.1"
    ]
    assert "resourceclaims/dr0-gpu-f27z2/b" in cdi(node)["devices"][1]["containerEdits"]["mounts"][0]["containerPath"]


def _unplugged(node: Node) -> None:
    node.machine = cards(0x3E)


def _undeclared(node: Node) -> None:
    node.state = state()


def _not_looked_at(node: Node) -> None:
    node.machine = machine()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Node.unbind, "claim-unit-unavailable: 0000:3d:00.0: "),
        (_unplugged, f"claim-unit-unavailable: device {FIRST}: claim default/{REF.name}: this node offers no such"),
        (_undeclared, f"claim-unit-unavailable: device {FIRST}: claim default/{REF.name}: this node offers no such"),
        (_not_looked_at, f"claim-unit-unavailable: claim default/{REF.name}: the node has not been looked at yet"),
    ],
)
def test_a_unit_that_cannot_be_given_is_refused_and_nothing_is_left(
    node: Node, change: Callable[[Node], None], told: str
) -> None:
    change(node)

    sentence = node.refusal()

    assert sentence.startswith(told)
    assert len(sentence) <= 300
    assert node.files() == {}


def test_the_finding_is_named_with_its_remedy(node: Node) -> None:
    node.unbind()

    assert "snd_hda_intel" in node.refusal()
    node.machine = cards(0x3D, 0x3E)
    assert node.prepare()


def test_a_unit_that_another_claim_holds_is_refused_with_its_name(node: Node) -> None:
    node.prepare()
    node.api.put(claim(FIRST, ref=OTHER), OTHER)

    sentence = node.refusal(OTHER)

    assert f"0000:3d:00.0: claim default/{REF.name} (UID {REF.uid}) holds it already" in sentence
    assert f"pod-{REF.name}" in sentence
    assert len(sentence) <= 300
    node.unprepare()
    assert node.prepare(OTHER)


def test_of_two_claims_at_once_for_one_unit_one_has_it(node: Node) -> None:
    both = threading.Barrier(2)
    for ref in (REF, OTHER):
        node.api.put(lambda _within, ref=ref: both.wait(PATIENCE) >= 0 and claim(FIRST, ref=ref), ref)
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda ref=ref: answers.append(node.preparer.prepare([ref], 45)[ref.uid]))
        for ref in (REF, OTHER)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert sorted(isinstance(answer, str) for answer in answers) == [False, True]
    assert len(node.store.read_all().records) == 1


def test_numbers_of_an_earlier_boot_are_those_of_other_devices_now(node: Node) -> None:
    node.prepare()
    node.machine = machine(*card(0x3E, 0x3D))
    node.start(OTHER_BOOT)
    node.api.put(claim(SECOND, ref=OTHER), OTHER)

    assert node.prepare(OTHER)


def test_what_a_pod_of_the_device_plugin_holds_is_refused(node: Node, mocker: Any) -> None:
    (held,) = [one.id for one in node.offer().of(By.CLAIM)[CARD].units][:1]
    offer = compose_offer(node.state, node.machine, held={CARD: [held]})
    mocker.patch.object(Node, "offer", autospec=True, return_value=offer)
    node.start()

    assert "a pod holds 0000:3d:00.0" in node.refusal()


def test_a_claim_that_was_made_again_is_not_the_one_that_was_asked_for(node: Node) -> None:
    node.api.put(claim(FIRST, ref=REF._replace(uid=OTHER.uid)))

    assert f"it has UID {OTHER.uid}, and its pod was given UID {REF.uid}" in node.refusal()
    assert node.files() == {}


def test_a_device_of_another_node_is_refused(node: Node) -> None:
    one = claim(FIRST)
    one["status"]["allocation"]["devices"]["results"][0]["pool"] = "elsewhere"
    node.api.put(one)

    assert f"device {FIRST} is of pool elsewhere, and this is node {NODE}" in node.refusal()


def test_the_api_server_is_asked_twice_and_then_its_error_is_the_answer(node: Node) -> None:
    node.api.put(AWAY)
    assert node.refusal().startswith("api-unreachable")
    assert len(node.api.asked) == 2

    answers = [AWAY, claim(FIRST)]
    node.api.put(lambda _within: answers.pop(0))
    assert node.prepare()


def test_an_api_server_that_says_no_is_not_asked_again(node: Node) -> None:
    node.api.put(ApiRefused(Asked("get", "/x"), 403, "Forbidden", "may not"))

    assert "403 Forbidden" in node.refusal()
    assert len(node.api.asked) == 1


def test_the_api_server_has_ten_seconds_in_all_and_less_where_kubelet_waits_less(node: Node) -> None:
    given: list[float] = []

    def answer(within: float) -> Exception:
        given.append(within)
        return AWAY

    node.api.put(answer)
    node.refusal()
    node.refusal(within=3)

    assert sum(given[:2]) <= 15
    assert max(given[2:]) <= 1


def test_a_claim_of_the_same_name_made_anew_does_not_touch_what_the_old_pod_has(node: Node) -> None:
    node.prepare()
    old = (node.kubelet_dir.parent / METADATA).open("rb")
    again = REF._replace(uid=OTHER.uid)
    node.api.put(claim(SECOND, ref=again))

    node.prepare(again)

    with old:
        assert b"0000:3d:00.0" in old.read()
    assert address_told(node) == "0000:3e:00.0"
    node.unprepare()
    assert address_told(node) == "0000:3e:00.0"
    assert set(node.files()) == {RECORD.replace(REF.uid, OTHER.uid), METADATA, CDI.replace(REF.uid, OTHER.uid)}
    node.unprepare(again)
    assert node.files() == {}


def test_a_damaged_record_is_made_again_from_the_claim(node: Node) -> None:
    answer = node.prepare()
    path = node.kubelet_dir.parent / RECORD
    whole = path.read_bytes()
    path.write_bytes(whole[:99])

    assert node.prepare() == answer
    assert path.read_bytes() == whole


def test_a_damaged_record_does_not_keep_the_pod(node: Node) -> None:
    node.prepare()
    (node.kubelet_dir.parent / RECORD).write_bytes(b"{")

    assert node.unprepare() is None
    assert node.files() == {}


def test_a_record_of_a_newer_version_is_left_alone(node: Node) -> None:
    node.prepare()
    path = node.kubelet_dir.parent / RECORD
    path.write_bytes(path.read_bytes().replace(b"passgate.dev/v1", b"passgate.dev/v2"))
    before = node.files()

    assert "written by another version" in node.refusal()
    assert "written by another version" in (node.unprepare() or "")
    assert node.files() == before
    with pytest.raises(NewerRecord):
        node.store.find(REF.uid)


@pytest.mark.parametrize("ref", [REF._replace(uid="../x"), REF._replace(name="a/b"), REF._replace(namespace="")])
def test_what_cannot_be_a_claim_becomes_no_path(node: Node, ref: ClaimRef) -> None:
    assert "the request names no claim" in node.refusal(ref)
    assert "the request names no claim" in (node.unprepare(ref) or "")
    assert node.api.asked == []


def test_a_call_waits_for_another_of_its_claim_no_longer_than_kubelet(node: Node) -> None:
    hangs = threading.Event()
    node.api.put(lambda _within: hangs.wait(PATIENCE) and claim(FIRST))
    first = threading.Thread(target=node.preparer.prepare, args=([REF], 45))
    first.start()
    until(lambda: node.api.asked)

    assert "another call for it has not come back" in node.refusal(within=2.2)
    hangs.set()
    first.join(PATIENCE)
    assert node.prepare()


def test_who_listens_hears_of_what_is_held_and_of_nothing_else(node: Node) -> None:
    heard: list[int] = []
    node.preparer.on_change = lambda: heard.append(1)

    node.prepare()
    node.prepare()
    node.unprepare()
    node.unprepare()
    _unplugged(node)
    node.refusal()

    assert len(heard) == 2
