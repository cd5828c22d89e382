"""Each surprise of kubelet's manager of claims, as a real one has it, and turned off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from hooksidecar.claims.source import DeviceHealth, PreparedDevice
from hostdev.kubelet.stubs import podresources_v1_pb2 as podresources
from tests.hooksidecar.claims.drivers import DRIVER
from tests.kubelet.claimnodes import PREPARE, KubeletNode, prepared, told, with_claim
from tests.kubelet.cluster import claim_object
from tests.kubelet.devicehealth import HEALTHY, UNKNOWN
from tests.kubelet.podresources import ask_podresources
from tests.kubelet.surprises import ALL, CLAIMS, Surprise
from tests.kubelet.times import QUICK
from tests.kubelet.wire import ASKS


def slices_are_wiped(node: KubeletNode) -> bool:
    node.kubelet.restart()
    node.await_driver()
    at_start = node.cluster.wiped.count("") == 2
    node.end()
    beats = node.kubelet.beats + 10
    node.wait(lambda: DRIVER in node.cluster.wiped or node.kubelet.beats > beats)
    assert at_start == (DRIVER in node.cluster.wiped)
    return at_start


def prepare_is_tried_again_late(node: KubeletNode) -> bool:
    node.answers.answers["c"] = lambda: "not now"
    pod = node.pod("vm", "c")
    node.wait(lambda: len(pod.events) > 1)
    first, second = [one.at for one in node.kubelet.wire if one.call == PREPARE and one.kind == ASKS][:2]
    return second - first >= QUICK.prepare_retry


def claims_are_prepared_twice(node: KubeletNode) -> bool:
    at_once = is_prepared_by_two_at_once(node)
    pod = node.kubelet.pods[0]
    node.kubelet.restart()
    node.await_driver()
    before = node.asked(PREPARE)
    node.kubelet.kill_sandbox(pod)
    node.wait(lambda: pod.container().starts == 2, "it starts again")
    assert at_once == (node.asked(PREPARE) == before + 1)
    return at_once


def is_prepared_by_two_at_once(node: KubeletNode) -> bool:
    both = threading.Barrier(2)
    met: list[bool] = []

    def answer() -> list[PreparedDevice]:
        try:
            both.wait(0.5)
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)
        return [prepared("gpu", "c", "u0")]

    node.answers.answers["c"] = answer
    pods = [with_claim(name) for name in ("a", "b")]
    node.cluster.add(claim_object("c", "uid-c", {one.name: one.uid for one in pods}, "gpu=u0", driver=DRIVER))
    for one in pods:
        node.kubelet.create(one, bound=True)
    node.wait(lambda: all(one.running for one in pods), "both run")
    node.answers.answers.clear()
    return met == [True, True]


def the_last_device_has_the_variable(node: KubeletNode) -> bool:
    node.answers.answers["c"] = lambda: [prepared("gpu", "c", "u0"), prepared("gpu", "c", "u1")]
    pod = node.run("vm", "c", "gpu=u0", "gpu=u1")
    answer = ask_podresources(node.directory, "List", podresources.ListPodResourcesRequest())
    (listed,) = podresources.ListPodResourcesResponse.FromString(answer).pod_resources
    (dynamic,) = listed.containers[0].dynamic_resources
    numbers = [len(one.cdi_devices) for one in dynamic.claim_resources]
    last = pod.container().environment["PCI_RESOURCE_GPU"] == "0000:3e:00.0"
    assert numbers == ([1, 2] if last else [1, 1])
    return last


def health_expires(node: KubeletNode) -> bool:
    node.answers.health = [DeviceHealth("node", "u0", True)]
    node.servers[0].health_changed()
    pod = node.run("vm", "c")
    node.wait(lambda: [*told(pod).values()] == [HEALTHY])
    node.kubelet.claims.health.let_expire(DRIVER)
    node.kubelet.crash(pod)
    node.wait(lambda: pod.container().starts == 2)
    return [*told(pod).values()] == [UNKNOWN]


PROOFS: Mapping[Surprise, Callable[[KubeletNode], bool]] = {
    Surprise.SLICES_ARE_WIPED: slices_are_wiped,
    Surprise.PREPARE_RETRY_IS_LATE: prepare_is_tried_again_late,
    Surprise.PREPARED_TWICE: claims_are_prepared_twice,
    Surprise.CDI_EDITS_OVERWRITE: the_last_device_has_the_variable,
    Surprise.HEALTH_EXPIRES: health_expires,
}


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("surprise", CLAIMS, ids=lambda one: one.name)
def test_a_surprise_is_there_and_can_be_turned_off(surprise: Surprise, is_on: bool, node: KubeletNode) -> None:  # noqa: FBT001
    node.start(ALL if is_on else ALL - {surprise})

    assert PROOFS[surprise](node) == is_on
