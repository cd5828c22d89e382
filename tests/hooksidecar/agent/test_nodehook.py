"""KubeVirt's node hooks over a real socket: virt-handler as a naive client, recorded machines, kubelet's grants."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pytest_mock import MockerFixture

from domxml.errors import SENTENCE_LIMIT, HostUnreadable, Refused
from hooksidecar.agent import nodehook
from hooksidecar.agent.nodehook import METHOD, POINTS, NodeHook
from hooksidecar.server import Server
from hooksidecar.unixsocket import UnixSocket
from hostdev.inventory.machine import Machine
from hostdev.kubelet import checkpoint
from hostdev.kubelet.checkpoint import Grant
from tests.hooksidecar.agent.virthandler import NODE, Answers
from tests.hooksidecar.client import Client, Failed
from tests.hostdev.cli.running import doctor, machine
from tests.hostdev.gate.build import function
from tests.hostdev.gate.build import machine as built
from tests.hostdev.holders.grants import grant
from tests.patience import SOON

POD, OTHER = "0a1b2c3d-0000-4000-8000-00000000000a", "0a1b2c3d-0000-4000-8000-00000000000b"
GPU = "0000:01:00.0"
VF = "0000:3b:02.1"
RESOURCE = "a.b/c"


Serve = Callable[..., Answers]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as running:
        directory = running.enter_context(tempfile.TemporaryDirectory(prefix="nh-"))

        def begin(
            look: Callable[[], Machine],
            grants: Callable[[], Sequence[Grant]] = tuple,
            started: Callable[[frozenset[str]], None] | None = None,
        ) -> Answers:
            told: list[tuple[str, str]] = []
            server = Server(nodehook.methods(look, grants, lambda *words: told.append(words), started))
            place = UnixSocket(directory, "node.sock")
            place.publish(server.listen)
            running.callback(server.stop)
            running.callback(place.remove)
            return Answers(Client(place.path), told)

        yield begin


def vmi(devices: Any = None, policy: Any = None, pods: Any = None, status: Any = None, limits: Any = None) -> bytes:
    annotations = {}
    limits = {RESOURCE: "1"} if limits is None else limits
    if devices is not None:
        annotations["passgate.dev/devices"] = json.dumps(devices)
    if policy is not None:
        annotations["passgate.dev/policy"] = json.dumps(policy)
    return json.dumps(
        {
            "metadata": {"name": "vm", "namespace": "default", "annotations": annotations},
            "spec": {"domain": {"resources": {"limits": limits}}},
            "status": {"activePods": {POD: NODE} if pods is None else pods, **(status or {})},
        }
    ).encode()


@pytest.mark.parametrize(
    ("name", "address", "code"),
    [
        ("nvme-in-gpu-group", "0000:01:00.0", "group-not-viable"),
        ("two-socket-x710", "0000:3b:00.0", "not-bound-to-vfio"),
        ("noiommu", "", "noiommu-group"),
    ],
)
def test_the_gate_says_what_the_command_line_says(name: str, address: str, code: str, serve: Serve) -> None:
    seen = machine(name)
    address = address or next(str(a) for a, f in seen.functions.items() if f.group is not None and not f.bridge)
    answers = serve(lambda: seen, lambda: [grant(address, pod=POD, resource=RESOURCE)])
    refusal = answers.refusal(vmi())

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.details in doctor(name, address)
    assert len(refusal.details) < SENTENCE_LIMIT
    errors = [sentence.partition(":")[0] for sentence in doctor(name, address)]
    assert code in errors
    assert answers.told == [("PreVMStart", "refused")]


def claiming_vmi() -> bytes:
    """A VM whose device comes by a resource claim: no resource of it is named."""
    document = json.loads(vmi(devices=[{"device": "gpu", "functions": "all"}], limits={}))
    gpu = {"name": "gpu", "claimName": "devices", "requestName": "gpu"}
    document["spec"]["domain"]["devices"] = {"gpus": [gpu]}
    return json.dumps(document).encode()


def test_devices_of_a_claim_go_through_the_gate(serve: Serve) -> None:
    prepared = grant("x", env={"PCI_RESOURCE_A_B_C": GPU}, pod=POD)._replace(container="", claim="default/vm-devices")
    answers = serve(lambda: machine("nvme-in-gpu-group"), lambda: [prepared])

    assert "group-not-viable" in answers.refusal(claiming_vmi()).details


def test_what_another_pod_has_by_a_claim_is_held(serve: Serve) -> None:
    mine = grant("x", env={"PCI_RESOURCE_A_B_C": VF}, pod=POD)
    other = mine._replace(pod_uid=OTHER, container="", claim="default/vm-devices")
    answers = serve(good, lambda: [mine, other])

    assert "claim default/vm-devices" in answers.refusal(vmi()).details


def good() -> Machine:
    return built(function(VF, group=43), function("0000:3b:02.2", group=44))


def test_devices_that_may_go(serve: Serve) -> None:
    answers = serve(good, lambda: [grant("x", env={"PCIDEVICE_A_B_C": VF}, pod=POD, resource=RESOURCE)])

    assert answers.ask(vmi()) == b""
    assert answers.ask(vmi(), "PreMigrationTarget") == b""
    assert answers.told == [("PreVMStart", "passed"), ("PreMigrationTarget", "passed")]


def test_a_device_that_is_gone(serve: Serve) -> None:
    answers = serve(good, lambda: [grant("x", env={"PCIDEVICE_A_B_C": "0000:3b:0a.1"}, pod=POD, resource=RESOURCE)])

    assert answers.refusal(vmi()).details.startswith("device-missing: 0000:3b:0a.1: no such host device")


def test_a_device_named_outright_goes_through_the_gate_too(serve: Serve) -> None:
    answers = serve(lambda: machine("nvme-in-gpu-group"))

    assert "group-not-viable: 0000:01:00.0: " in answers.refusal(vmi([{"address": GPU}])).details
    assert answers.ask(vmi([])) == b""


@pytest.mark.parametrize(
    "others",
    [
        grant(VF, pod=OTHER, resource="x.y/z"),
        grant("opaque", nodes=("/dev/vfio/43",), pod=OTHER, resource="x.y/z"),
    ],
)
def test_given_to_one_vm_only(others: Grant, serve: Serve) -> None:
    answers = serve(good, lambda: [grant(VF, pod=POD, resource=RESOURCE), others])

    refusal = answers.refusal(vmi())
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.details.startswith(f"device-in-use: {VF}: is held by pod {OTHER}, granted as x.y/z: ")
    assert answers.ask(vmi(policy={"allow": ["device-in-use"]})) == b""


def test_halves_of_a_group(serve: Serve) -> None:
    host_ = built(function(VF, group=43), function("0000:3b:02.2", group=43))
    grants = [grant(VF, pod=POD, resource=RESOURCE), grant("0000:3b:02.2", pod=OTHER, resource=RESOURCE)]

    assert f"its group 43 is held by pod {OTHER}" in serve(lambda: host_, lambda: grants).refusal(vmi()).details


def test_a_mediated_device_of_two_pods(serve: Serve) -> None:
    uuid = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
    grants = [grant(uuid, pod=POD, resource=RESOURCE), grant(uuid, pod=OTHER, resource="x.y/z")]
    found = serve(good, lambda: grants).refusal(vmi(policy={"allow": ["mdev-missing"]})).details

    assert found.startswith(f"device-in-use: {uuid}: is held by pod {OTHER}")


@pytest.mark.parametrize("policy", [{"unsafe": "warn"}, {"allow": ["group-not-viable", "not-bound-to-vfio"]}])
def test_the_policy_is_the_sidecars(policy: Any, serve: Serve) -> None:
    answers = serve(lambda: machine("nvme-in-gpu-group"), lambda: [grant(GPU, pod=POD, resource=RESOURCE)])

    assert answers.ask(vmi(policy=policy)) == b""
    assert answers.refusal(vmi(policy={"allow": ["no-reset-method"]})).code is grpc.StatusCode.FAILED_PRECONDITION
    assert answers.refusal(vmi(policy={"unsafe": "perhaps"})).code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("pods", "node"), [({POD: "node2"}, NODE), ({}, NODE), ({OTHER: NODE}, NODE), ({POD: NODE}, "node2")]
)
def test_grants_of_other_nodes_and_vms_are_not_looked_at(pods: Any, node: str, serve: Serve) -> None:
    answers = serve(_never, lambda: [grant(GPU, pod=POD, resource=RESOURCE)])

    assert answers.ask(vmi(pods=pods), node=node) == b""
    assert answers.told == [("PreVMStart", "no-devices")]


def _never() -> Machine:
    raise AssertionError("the host was looked at for nothing")


def test_grants_of_other_containers_are_not_the_vms(serve: Serve) -> None:
    other = grant(GPU, pod=POD, resource=RESOURCE)._replace(container="hook-sidecar-0")

    assert serve(_never, lambda: [other]).ask(vmi()) == b""


def test_a_claim_in_the_status(serve: Serve) -> None:
    attributes = {"attributes": {"pciAddress": GPU}}
    status = {"deviceStatus": {"gpuStatuses": [{"name": "gpu1", "deviceResourceClaimStatus": attributes}]}}
    answers = serve(lambda: machine("nvme-in-gpu-group"))

    assert "group-not-viable" in answers.refusal(vmi(status=status)).details


@pytest.mark.parametrize("point", [point for point in POINTS if point not in nodehook.CHECKED])
def test_other_hook_points_are_answered_at_once(point: str, serve: Serve) -> None:
    answers = serve(_never, _no_grants)

    assert answers.ask(b"no JSON at all", point) == b""
    assert answers.told == [(point, "not-checked")]


@pytest.mark.parametrize("point", POINTS)
def test_pods_of_vms_that_have_started_are_told(point: str, serve: Serve) -> None:
    pods: list[frozenset[str]] = []
    answers = serve(lambda: machine("qat"), tuple, pods.append)

    answers.ask(vmi(pods={POD: NODE, OTHER: "another"}, limits={}), point)
    assert pods == ([frozenset({POD})] if point in {"PostVMStart", "PostMigrationTarget"} else [])


def test_a_started_vm_that_cannot_be_read_is_no_error(serve: Serve) -> None:
    pods: list[frozenset[str]] = []

    assert serve(_never, _no_grants, pods.append).ask(b"no JSON at all", "PostVMStart") == b""
    assert pods == []


def _no_grants() -> Sequence[Grant]:
    raise AssertionError("kubelet was asked for nothing")


@pytest.mark.parametrize("point", ["", "prevmstart", "OnDefineDomain", "x" * 5000])
def test_an_unknown_hook_point(point: str, serve: Serve) -> None:
    answers = serve(_never, _no_grants)
    refusal = answers.refusal(vmi(), point)

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.details.startswith(
        f"unknown-hook-point: there is no hook point {point[:40]!r}: permittedHooks knows"
    )
    assert len(refusal.details) < SENTENCE_LIMIT
    assert answers.told == [("unknown", "bad-input")]


@pytest.mark.parametrize(
    "bad",
    [b"", b"null", b"{", b"[]", b'{"status":{"activePods":7},"spec":{}}', b'{"spec":{},"spec":{}}', b"\xff", b"{}"],
)
def test_a_bad_vmi(bad: bytes, serve: Serve) -> None:
    answers = serve(good)
    refusal = answers.refusal(bad)

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.details.startswith("bad-vmi: ")
    assert answers.told == [("PreVMStart", "bad-input")]


def test_no_message(serve: Serve) -> None:
    answers = serve(good)
    with pytest.raises(Failed, match="bad-message"):
        answers.client.call(METHOD, b"\xff\xff\xff")

    assert answers.told == [("unknown", "bad-input")]


def test_a_record_that_cannot_be_read_is_no_yes(serve: Serve) -> None:
    """But for a VM that asks for nothing."""

    def torn() -> Sequence[Grant]:
        raise HostUnreadable("checkpoint-unreadable", "is not JSON", subject="kubelet_internal_checkpoint")

    answers = serve(_never, torn)

    assert answers.refusal(vmi()).details == "checkpoint-unreadable: kubelet_internal_checkpoint: is not JSON"
    assert answers.ask(vmi(limits={})) == b""
    assert answers.told == [("PreVMStart", "refused"), ("PreVMStart", "no-devices")]


def test_a_host_that_cannot_be_looked_at_is_no_yes(serve: Serve) -> None:
    def look() -> Machine:
        raise HostUnreadable("host-unreadable", "holds no sys/ directory", subject="/host")

    answers = serve(look, lambda: [grant(VF, pod=POD, resource=RESOURCE)])

    assert answers.refusal(vmi()).details == "host-unreadable: /host: holds no sys/ directory"
    assert answers.told == [("PreVMStart", "refused")]


def test_a_host_that_hangs(serve: Serve) -> None:
    def look() -> Machine:
        time.sleep(60)
        return good()

    answers = serve(look, lambda: [grant(VF, pod=POD, resource=RESOURCE)])
    begun = time.monotonic()
    refusal = answers.refusal(vmi())

    assert time.monotonic() - begun < SOON
    assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refusal.details.startswith("deadline: no answer within 2.0 s: ")
    assert answers.told == [("PreVMStart", "late")]
    assert answers.ask(vmi(), "PostVMStop") == b""


def test_a_record_that_takes_too_long_is_named(serve: Serve, mocker: MockerFixture) -> None:
    mocker.patch.object(checkpoint, "parse_json", autospec=True, side_effect=lambda *_: time.sleep(60))
    refusal = serve(good, lambda: checkpoint.parse(b"{}").grants).refusal(vmi())

    assert refusal.details == "deadline: no answer within 2.0 s: reading kubelet's record: KubeVirt will ask again"


def test_a_defect_is_a_status(serve: Serve) -> None:
    answers = serve(_never, lambda: [grant(VF, pod=POD, resource=RESOURCE)])
    refusal = answers.refusal(vmi())

    assert refusal.code is grpc.StatusCode.INTERNAL
    assert "looked at for nothing" not in refusal.details
    assert answers.told == [("PreVMStart", "defect")]


def test_a_plugin_that_contradicts_itself(serve: Serve) -> None:
    """What the sidecar refuses, because it cannot tell which device is meant, is refused here, too."""
    env = {"PCIDEVICE_A_B_C": VF, "PCIDEVICE_A_B_C_INFO": '{"0000:3b:02.2": {}}'}
    answers = serve(good, lambda: [grant("x", env=env, pod=POD, resource=RESOURCE)])

    assert answers.refusal(vmi()).details.startswith("channels-disagree: ")
    assert answers.ask(vmi(policy={"allow": ["channels-disagree"]})) == b""


@settings(max_examples=50, deadline=None)
@given(some.text(max_size=60), some.text(max_size=60))
def test_whatever_is_granted_is_answered(name: str, value: str) -> None:
    """Never anything but an answer, or a sentence."""
    hook = NodeHook(good, lambda: [grant(value, env={name: value, "QAT0": value}, nodes=(value,), pod=POD)])
    try:
        hook.check(vmi(), NODE)
    except Refused as refused:
        assert len(refused.sentence()) < SENTENCE_LIMIT  # noqa: PT017


def test_a_large_node_is_answered_in_time(serve: Serve) -> None:
    """500 pods with a device each, the host read anew for each call."""
    places = [(bus, slot) for bus in range(16) for slot in range(32)]
    many = built(*(function(f"0000:{bus:02x}:{slot:02x}.0", group=bus * 32 + slot) for bus, slot in places))
    addresses = [str(address) for address in many.functions]
    grants = [
        grant("x", env={"PCIDEVICE_A_B_C": address}, pod=POD if not number else f"{OTHER[:-3]}{number:03x}")
        for number, address in enumerate(addresses[:500])
    ]
    answers = serve(lambda: many, lambda: grants)
    begun = time.monotonic()
    assert answers.ask(vmi()) == b""

    assert time.monotonic() - begun < SOON
