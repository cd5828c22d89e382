"""Each surprise of kubelet's, as a real one has it, and turned off: what one would have expected."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import pytest

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from hostdev.kubelet.stubs import podresources_v1_pb2 as podresources
from tests.kubelet.checkpoint import NAME
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.manager import HEALTHY, UNHEALTHY
from tests.kubelet.plain import Plain, healthy
from tests.kubelet.player import Answer
from tests.kubelet.podresources import ask_podresources
from tests.kubelet.pods import Pod
from tests.kubelet.surprises import ALL, CLAIMS, Surprise
from tests.kubelet.times import QUICK
from tests.patience import PATIENCE

GPU, OTHER = "units.lab.dev/gpu", "units.lab.dev/other"
TIMES = QUICK._replace(beat=0.05, grace=60.0)


def plugin(kubelet: Kubelet, *ids: str, resource: str = GPU, socket: str = "") -> Plain:
    made = Plain(kubelet, resource, healthy(*ids), socket)
    assert not made.register().code
    return made


def run(kubelet: Kubelet, number: int = 1, *, name: str = "pod", resource: str = GPU) -> Pod:
    pod = kubelet.create(Pod(name, {resource: number}), bound=True)
    kubelet.wait(lambda: pod.running, f"{name} runs")
    return pod


def is_cut_by_the_end_of_another(kubelet: Kubelet) -> bool:
    first = plugin(kubelet, "a0", socket="first.sock")
    plugin(kubelet, "b0", "b1", socket="second.sock")
    first.stop()
    kubelet.wait(lambda: kubelet.clients.watching == 1, "the end of the first is dealt with")
    return not kubelet.allocatable(GPU)


def is_blind_after_a_failed_register(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0")
    made.register(endpoint="absent.sock")
    made.stop()
    kubelet.wait(lambda: not kubelet.clients.watching)
    return bool(kubelet.allocatable(GPU))


def has_no_deadline(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0")
    released = threading.Event()

    def wait(_: bytes) -> Answer:
        released.wait()
        return Answer(code=grpc.StatusCode.INTERNAL)

    made.answers["Allocate"] = wait
    pod = kubelet.create(Pod("hangs", {GPU: 1}), bound=True)
    other = kubelet.create(Pod("other"), bound=True)
    kubelet.wait(lambda: "Allocate" in [asked.call for asked in made.calls])
    (deadline,) = [asked.deadline for asked in made.calls if asked.call == "Allocate"]
    endless = deadline is None or deadline > PATIENCE
    if not endless:
        kubelet.wait(lambda: other.running)
    waits = not pod.ended and not other.running
    released.set()
    return waits


def refused_is_dead(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0")
    allocate = made.answers["Allocate"]
    made.answers["Allocate"] = lambda _: Answer(code=grpc.StatusCode.INTERNAL, details="not now")
    pod = kubelet.create(Pod("pod", {GPU: 1}), bound=True)
    kubelet.wait(lambda: pod.ended)
    made.answers["Allocate"] = allocate
    # What is admitted later waits for what is to be admitted again.
    kubelet.beat()
    later = kubelet.create(Pod("later"), bound=True)
    kubelet.wait(lambda: later.running)
    return not pod.admitted


def vanished_is_healthy(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0", "a1")
    made.answers["GetPreferredAllocation"] = lambda _: preferred("a0")
    pod = run(kubelet)
    made.tell(healthy("a1"))
    kubelet.crash(pod)
    kubelet.wait(lambda: pod.container().starts == 2)
    return pod.container().status[GPU]["a0"] == HEALTHY


def restarts_unhealthy(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0", "a1")
    pod = run(kubelet, 2)
    made.tell({"a0": UNHEALTHY, "a1": HEALTHY})
    kubelet.crash(pod)
    kubelet.wait(lambda: pod.container().state.name != "terminated")
    return pod.container().starts == 2


def kills_waiting_pods(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0")
    pod = run(kubelet)
    kubelet.stop()
    kubelet.crash(pod)
    made.stop()
    kubelet.start()
    kubelet.wait(lambda: kubelet.manager.ready or kubelet.awaits_plugins)
    late = plugin(kubelet, "a0")
    kubelet.wait(lambda: pod.ended or pod.container().starts == 2)
    late.stop()
    return pod.ended


def gives_twice(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0", "a1")
    made.answers["GetPreferredAllocation"] = lambda _: preferred("a0")
    run(kubelet, name="c1")
    kubelet.stop()
    file = kubelet.plugins / NAME
    file.write_text(json.dumps({**json.loads(file.read_text()), "Checksum": 1}))
    kubelet.start()
    again = plugin(kubelet, "a0", "a1", socket="again.sock")
    again.answers["GetPreferredAllocation"] = lambda _: preferred("a0")
    return run(kubelet, name="c2").container().environment["IDS"] == "a0"


def asks_without_a_choice(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0")
    run(kubelet)
    return any(asked.call == "GetPreferredAllocation" for asked in made.calls)


def asks_for_options(kubelet: Kubelet) -> bool:
    made = Plain(kubelet, GPU, healthy("a0"))
    made.register(options=api.DevicePluginOptions())
    return any(asked.call == "GetDevicePluginOptions" for asked in made.calls)


def spells_health(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0")
    made.tell({"a0": "healthy"})
    return not kubelet.allocatable(GPU)


def pokes_the_wrong_pod(kubelet: Kubelet) -> bool:
    plugin(kubelet, "m0")
    other = plugin(kubelet, "m0", resource=OTHER, socket="other.sock")
    run(kubelet, name="first")
    right = run(kubelet, name="second", resource=OTHER)
    other.tell({"m0": UNHEALTHY})
    # With the next list the pods are poked of the one before.
    other.tell({"m0": UNHEALTHY, "m1": HEALTHY})
    return right.container().status[OTHER]["m0"] == HEALTHY


def list_frees(kubelet: Kubelet) -> bool:
    plugin(kubelet, "a0")
    kubelet.finish(run(kubelet))
    ask_podresources(kubelet.directory, "List", podresources.ListPodResourcesRequest())
    return not kubelet.manager.entries


def empty_permissions_fail(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0")
    node = api.DeviceSpec(container_path="/dev/null", host_path="/dev/null")
    answer = api.AllocateResponse(container_responses=[api.ContainerAllocateResponse(devices=[node])])
    made.answers["Allocate"] = lambda _: answer
    pod = kubelet.create(Pod("pod", {GPU: 1}), bound=True)
    kubelet.wait(lambda: pod.running or pod.container().state.reason)
    return not pod.running


def removes_sockets(kubelet: Kubelet) -> bool:
    made = plugin(kubelet, "a0")
    kubelet.restart()
    return not Path(made.socket).exists()


PROOFS: Mapping[Surprise, Callable[[Kubelet], bool]] = {
    Surprise.STREAM_END_CUTS_THE_CURRENT: is_cut_by_the_end_of_another,
    Surprise.FAILED_REGISTER_BLINDS: is_blind_after_a_failed_register,
    Surprise.ALLOCATE_HAS_NO_DEADLINE: has_no_deadline,
    Surprise.REFUSED_IS_DEAD: refused_is_dead,
    Surprise.VANISHED_IS_HEALTHY: vanished_is_healthy,
    Surprise.RESTART_IGNORES_HEALTH: restarts_unhealthy,
    Surprise.ADMITS_BEFORE_PLUGINS: kills_waiting_pods,
    Surprise.LOST_CHECKPOINT_FORGETS: gives_twice,
    Surprise.PREFERENCE_IS_ALWAYS_ASKED: asks_without_a_choice,
    Surprise.REGISTER_OPTIONS_IGNORED: asks_for_options,
    Surprise.HEALTH_TO_THE_LETTER: spells_health,
    Surprise.PUSH_BY_ID_ALONE: pokes_the_wrong_pod,
    Surprise.LIST_CHANGES_KUBELET: list_frees,
    Surprise.EMPTY_PERMISSIONS_FAIL: empty_permissions_fail,
    Surprise.START_REMOVES_SOCKETS: removes_sockets,
}


def preferred(*ids: str) -> api.PreferredAllocationResponse:
    chosen = api.ContainerPreferredAllocationResponse(deviceIDs=ids)
    return api.PreferredAllocationResponse(container_responses=[chosen])


@pytest.mark.parametrize("surprise", sorted(ALL - {*CLAIMS}), ids=lambda one: one.name)
def test_a_surprise_is_there_and_can_be_turned_off(surprise: Surprise, kubelet_dir: Path) -> None:
    (kubelet_dir / "off").mkdir()
    with Kubelet(kubelet_dir, times=TIMES) as kubelet:
        assert PROOFS[surprise](kubelet)
    with Kubelet(kubelet_dir / "off", times=TIMES, surprises=ALL - {surprise}) as kubelet:
        assert not PROOFS[surprise](kubelet)
