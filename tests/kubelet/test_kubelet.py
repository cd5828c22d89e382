"""What the double keeps and shows, held against what was recorded beside the messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from hostdev.kubelet.checkpoint import parse
from hostdev.kubelet.podresources import SOCKET, list_podresources
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from hostdev.kubelet.stubs import podresources_v1_pb2 as podresources
from hostdev.socketpath import target
from tests.house import ROOT
from tests.kubelet import checkpoint
from tests.kubelet.checkpoint import NAME
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.manager import HEALTHY, UNHEALTHY, Count
from tests.kubelet.plain import Plain, healthy
from tests.kubelet.podresources import BURST, ask_podresources
from tests.kubelet.pods import Container, Pod
from tests.kubelet.times import QUICK
from tests.patience import PATIENCE

GPU, OTHER = "units.lab.dev/gpu", "units.lab.dev/other"
CHECKPOINTS = json.loads((ROOT / "tests/fixtures/kubelet/checkpoints.json").read_text())
"""As they were, to the byte."""
LISTS: Mapping[str, tuple[list[tuple[str, str]], Count]] = {
    "three": ([("u0", HEALTHY), ("u1", HEALTHY), ("u2", HEALTHY)], Count(3, 3)),
    "one is unhealthy": ([("u0", UNHEALTHY), ("u1", HEALTHY), ("u2", HEALTHY)], Count(3, 2)),
    "spelt otherwise": ([("u0", "healthy"), ("u1", ""), ("u2", "Degraded"), ("u3", HEALTHY)], Count(4, 1)),
    "none": ([], Count(0, 0)),
    "one three times": ([("u0", HEALTHY)] * 3, Count(1, 1)),
    "one both ways": ([("u0", HEALTHY), ("u0", UNHEALTHY)], Count(2, 1)),
    "odd ids": ([(one, HEALTHY) for one in ("", "-1", "a b", 'ü/\n"\\', 300 * "x")], Count(5, 5)),
}


@pytest.fixture
def kubelet(kubelet_dir: Path) -> Iterator[Kubelet]:
    with Kubelet(kubelet_dir, times=QUICK._replace(beat=0.05, grace=0.3)) as kubelet:
        yield kubelet


def plugin(kubelet: Kubelet, *ids: str, resource: str = GPU, **numa: int) -> Plain:
    made = Plain(kubelet, resource, healthy(*ids))
    made.numa = numa
    assert not made.register().code
    return made


def ask(kubelet: Kubelet, call: str, request: Any, answer: Any) -> Any:
    return answer.FromString(ask_podresources(kubelet.directory, call, request))


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_written_as_kubelet_wrote_it(name: str, tmp_path: Path) -> None:
    recorded = CHECKPOINTS[name]
    (tmp_path / NAME).write_text(recorded)
    if name.startswith("corrupted"):
        with pytest.raises(checkpoint.Corrupt):
            checkpoint.read(tmp_path)
        return

    checkpoint.write(tmp_path, checkpoint.read(tmp_path))

    assert (tmp_path / NAME).read_text() == recorded


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_counted_as_kubelet_counts_it(name: str, kubelet: Kubelet) -> None:
    devices, count = LISTS[name]
    made = plugin(kubelet, "before")
    message = api.ListAndWatchResponse(devices=[api.Device(ID=one, health=health) for one, health in devices])
    made.streams[0].send(message.SerializeToString())

    kubelet.wait(lambda: kubelet.manager.counts()[GPU] == count, f"{count}")
    kubelet.wait(lambda: (kubelet.node.capacity.get(GPU), kubelet.node.allocatable.get(GPU)) == count)


def test_what_a_container_was_given_is_in_the_checkpoint_and_in_podresources(kubelet: Kubelet) -> None:
    plugin(kubelet, "u0", "u1", u0=0)
    pod = kubelet.create(Pod("vm", {GPU: 2}), bound=True)
    kubelet.wait(lambda: pod.running)

    (grant,) = parse((kubelet.plugins / NAME).read_bytes()).grants
    listing = list_podresources(str(kubelet.directory / SOCKET))

    assert (grant.pod_uid, grant.resource, sorted(grant.device_ids)) == (pod.uid, GPU, ["u0", "u1"])
    assert dict(grant.environment) == {"IDS": "u0,u1"}
    assert sorted((one.device_ids, one.numa) for one in listing.devices) == [(("u0",), (0,)), (("u1",), ())]


def test_a_container_that_starts_again_gets_what_it_was_given(kubelet: Kubelet) -> None:
    made = plugin(kubelet, "u0")
    pod = kubelet.create(Pod("vm", {GPU: 1}), bound=True)
    kubelet.wait(lambda: pod.running)
    made.answers["Allocate"] = lambda _: api.AllocateResponse()

    kubelet.crash(pod)
    kubelet.wait(lambda: pod.container().starts == 2)

    assert pod.container().environment == {"IDS": "u0"}
    assert [one.call for one in made.calls].count("PreStartContainer") == 2
    assert [one.call for one in made.calls].count("Allocate") == 1


def test_of_two_answers_to_one_variable_either_may_win(kubelet: Kubelet) -> None:
    plugin(kubelet, "u0")
    plugin(kubelet, "o0", resource=OTHER)
    pod = kubelet.create(Pod("vm", {GPU: 1, OTHER: 1}), bound=True)
    kubelet.wait(lambda: pod.running)
    seen = {pod.container().environment["IDS"]}
    for starts in range(1, 40):
        if len(seen) == 2:
            break
        kubelet.crash(pod)
        kubelet.wait(lambda starts=starts: pod.container().starts > starts)  # type: ignore[misc]
        seen.add(pod.container().environment["IDS"])

    assert seen == {"u0", "o0"}


def test_a_container_is_started_once_for_each_of_its_ends(kubelet: Kubelet) -> None:
    """However soon it ends again, and whatever kubelet is at with its pod."""
    plugin(kubelet, "u0")
    pod = kubelet.create(Pod("vm", {GPU: 1}), bound=True)
    for starts in range(1, 11):
        kubelet.wait(lambda starts=starts: pod.container().starts >= starts)  # type: ignore[misc]
        assert pod.container().starts == starts
        kubelet.crash(pod)


def test_a_resource_whose_plugin_is_gone_stays_in_the_node_with_nothing(kubelet: Kubelet) -> None:
    kubelet.manager.times = QUICK._replace(grace=PATIENCE)
    made = plugin(kubelet, "u0", "u1")
    kubelet.wait(lambda: kubelet.node.allocatable.get(GPU) == 2)
    made.stop()

    kubelet.wait(lambda: kubelet.node.allocatable[GPU] == 0)
    assert kubelet.node.capacity[GPU] == 2
    kubelet.manager.times = QUICK._replace(grace=0.0)
    kubelet.wait(lambda: kubelet.node.capacity[GPU] == 0)
    assert GPU in kubelet.node.allocatable


def test_a_pod_runs_without_a_device_where_capacity_has_outlived_the_checkpoint(kubelet: Kubelet) -> None:
    plugin(kubelet, "u0").stop()
    kubelet.node.report({GPU: Count(1, 1)})
    kubelet.stop()
    (kubelet.plugins / NAME).unlink()
    kubelet.start()

    pod = kubelet.create(Pod("vm", {GPU: 1}))
    kubelet.wait(lambda: pod.running)

    assert not pod.container().environment


def test_podresources_has_running_containers_and_sidecars_and_no_more(kubelet: Kubelet) -> None:
    plugin(kubelet, "u0", "u1", "u2")
    containers = (
        Container("init", {GPU: 1}, init=True),
        Container("side", {GPU: 1}, init=True, sidecar=True),
        Container("compute", {GPU: 1}),
    )
    pod = kubelet.create(Pod("vm", containers=containers), bound=True)
    kubelet.wait(lambda: pod.running)
    listing = list_podresources(str(kubelet.directory / SOCKET))
    assert {one.container for one in listing.devices} == {"side", "compute"}

    kubelet.finish(pod)

    assert not list_podresources(str(kubelet.directory / SOCKET)).devices
    request = podresources.GetPodResourcesRequest(pod_name="vm", pod_namespace="default")
    with pytest.raises(grpc.RpcError) as refused:
        ask(kubelet, "Get", request, podresources.GetPodResourcesResponse)
    assert "pod vm in namespace default not found" in str(refused.value)


def test_allocatable_are_the_healthy_ones_held_or_not(kubelet: Kubelet) -> None:
    made = plugin(kubelet, "u0", "u1")
    pod = kubelet.create(Pod("vm", {GPU: 1}), bound=True)
    kubelet.wait(lambda: pod.running)
    made.tell({"u0": HEALTHY, "u1": UNHEALTHY})

    request, kind = podresources.AllocatableResourcesRequest(), podresources.AllocatableResourcesResponse
    told = ask(kubelet, "GetAllocatableResources", request, kind)

    assert [list(one.device_ids) for one in told.devices] == [["u0"]]


def test_podresources_answers_so_many_calls_at_once(kubelet: Kubelet) -> None:
    with grpc.insecure_channel(target(str(kubelet.directory / SOCKET))) as channel:
        call = channel.unary_unary("/v1.PodResourcesLister/List", bytes, bytes)
        codes = [(future.code(), future.details()) for future in [call.future(b"") for _ in range(100)]]

    refused = (grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")
    assert set(codes) == {refused, (grpc.StatusCode.OK, "")}
    assert codes.count(refused) < 100 - BURST + 1
