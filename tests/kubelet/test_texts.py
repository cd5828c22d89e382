"""What kubelet says of a pod in trouble, word for word as a real one said it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from tests.house import ROOT
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.plain import OPTIONS, Plain, healthy
from tests.kubelet.player import Answer
from tests.kubelet.pods import Pod
from tests.kubelet.times import QUICK
from tests.kubelet.topology import NONE, SINGLE

TEXTS = json.loads((ROOT / "tests/fixtures/kubelet/texts.json").read_text())
LAB = "units.lab.dev/"
_ID = re.compile(r"\b[0-9a-f]{60,64}\b")
Situation = Callable[[Kubelet], Pod]
ERROR = {
    "Allocate error": ("Allocate", "FAILED_PRECONDITION", "group 7 not viable: 0000:3d:00.1 is bound to snd_hda_intel"),
    "Allocate exception": ("Allocate", "UNKNOWN", "Exception calling application: division by zero"),
    "preference error": ("GetPreferredAllocation", "INTERNAL", "no set of 2 within one NVLink partition"),
    "PreStart error": ("PreStartContainer", "UNAVAILABLE", "device did not come out of D3"),
}
"""What a plugin's error becomes: the call, and what it answers."""


def plugin(kubelet: Kubelet, name: str, *ids: str, options: api.DevicePluginOptions = OPTIONS) -> Plain:
    made = Plain(kubelet, f"{LAB}{name}", healthy(*ids))
    made.options = options
    assert not made.register().code
    return made


def bound(kubelet: Kubelet, resource: str, name: str = "pod") -> Pod:
    return kubelet.create(Pod(name, {f"{LAB}{resource}": 1}), bound=True)


def running(kubelet: Kubelet, resource: str, name: str = "holder") -> Pod:
    pod = bound(kubelet, resource, name)
    kubelet.wait(lambda: pod.running, f"{name} runs")
    return pod


def too_few(kubelet: Kubelet) -> Pod:
    plugin(kubelet, "gpu", "u0")
    running(kubelet, "gpu")
    return bound(kubelet, "gpu")


def no_room(kubelet: Kubelet) -> Pod:
    plugin(kubelet, "gpu", "u0")
    kubelet.beat()
    running(kubelet, "gpu")
    return kubelet.create(Pod("pod", {f"{LAB}gpu": 1}))


def away(kubelet: Kubelet) -> Pod:
    plugin(kubelet, "two", "b0").stop()
    kubelet.wait(lambda: not kubelet.allocatable(f"{LAB}two"))
    return bound(kubelet, "two")


def long_away(kubelet: Kubelet) -> Pod:
    plugin(kubelet, "gone2", "k0").stop()
    kubelet.wait(lambda: f"{LAB}gone2" not in kubelet.manager.resources, "the resource is forgotten")
    return bound(kubelet, "gone2")


def long_away_and_held(kubelet: Kubelet) -> Pod:
    made = plugin(kubelet, "gone", "g0", "g1")
    running(kubelet, "gone")
    made.stop()
    kubelet.wait(lambda: f"{LAB}gone" not in kubelet.manager.resources, "the resource is forgotten")
    return bound(kubelet, "gone")


def restart_after_removal(kubelet: Kubelet) -> Pod:
    made = plugin(kubelet, "gone", "g0", "g1")
    pod = running(kubelet, "gone")
    made.stop()
    kubelet.wait(lambda: f"{LAB}gone" not in kubelet.manager.resources, "the resource is forgotten")
    kubelet.crash(pod)
    return pod


def zombie(kubelet: Kubelet) -> Pod:
    made = plugin(kubelet, "zombie", "y0", "y1", options=api.DevicePluginOptions())
    assert made.register(endpoint="absent.sock").details == "failed to dial device plugin: context deadline exceeded"
    made.stop()
    return bound(kubelet, "zombie")


def kubelet_restart(kubelet: Kubelet) -> Pod:
    plugin(kubelet, "reg", "r0")
    pod = running(kubelet, "reg")
    kubelet.crash(pod)
    kubelet.restart()
    return pod


def dies_in_allocate(kubelet: Kubelet) -> Pod:
    made = plugin(kubelet, "hang", "h0")

    def die(_: bytes) -> Answer:
        return Answer(code=grpc.StatusCode.UNAVAILABLE, details="Cancelling all calls")

    made.answers["Allocate"] = die
    return bound(kubelet, "hang")


def pre_start_hangs(kubelet: Kubelet) -> Pod:
    made = plugin(kubelet, "prehang", "q0")
    made.answers["PreStartContainer"] = lambda _: made.hang()
    return bound(kubelet, "prehang")


def misaligned(kubelet: Kubelet) -> Pod:
    made = Plain(kubelet, f"{LAB}t1", healthy("o0", "o1"))
    made.numa = {"o0": 1, "o1": 1}
    made.register()
    return bound(kubelet, "t1")


def no_response(kubelet: Kubelet) -> Pod:
    plugin(kubelet, "a", "d0").answers["Allocate"] = lambda _: api.AllocateResponse()
    return bound(kubelet, "a")


def gives(path: str) -> Situation:
    """A plugin that gives this as a device node."""

    def situation(kubelet: Kubelet) -> Pod:
        node = api.DeviceSpec(container_path="/dev/x", host_path=path, permissions="mrw")
        answer = api.AllocateResponse(container_responses=[api.ContainerAllocateResponse(devices=[node])])
        plugin(kubelet, "a", "d0").answers["Allocate"] = lambda _: answer
        return bound(kubelet, "a")

    return situation


def fails(call: str, code: str, details: str) -> Situation:
    """A plugin one of whose answers is this error."""

    def situation(kubelet: Kubelet) -> Pod:
        answer = Answer(code=grpc.StatusCode[code], details=details)
        plugin(kubelet, "a", "d0").answers[call] = lambda _: answer
        return bound(kubelet, "a")

    return situation


SITUATIONS: Mapping[str, Situation] = {
    "ids too few": too_few,
    "no room": no_room,
    "plugin away": away,
    "plugin long away, some held": long_away_and_held,
    "plugin long away, none held": long_away,
    "zombie endpoint": zombie,
    "kubelet restart": kubelet_restart,
    "restart after removal": restart_after_removal,
    "plugin dies in Allocate": dies_in_allocate,
    "PreStart hangs": pre_start_hangs,
    "misaligned": misaligned,
    "no response": no_response,
    "node missing": gives("/dev/vfio/7"),
    "node is a file": gives("/etc/hostname"),
    **{name: fails(*what) for name, what in ERROR.items()},
}


def told(pod: Pod) -> Mapping[str, Any]:
    """As in the recording."""
    state = pod.container().state
    said: dict[str, Any] = {"phase": pod.phase}
    if pod.reason:
        said |= {"reason": pod.reason, "message": pod.message}
    if state.name == "waiting" and state.reason:
        said["waiting"] = {"reason": state.reason, "message": state.message}
    troubles = [event for event in pod.events if event.kind == "Warning"]
    return {**said, "event": {"reason": troubles[-1].reason, "message": troubles[-1].message}} if troubles else said


def test_every_recorded_text_has_its_situation() -> None:
    assert SITUATIONS.keys() == TEXTS.keys()


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_pod_in_trouble_is_told_as_kubelet_tells_it(name: str, kubelet_dir: Path) -> None:
    (kubelet_dir / "root/etc").mkdir()
    (kubelet_dir / "root/etc/hostname").touch()
    grace = 0.1 if "long away" in name or "removal" in name else 60.0
    times = QUICK._replace(grace=grace, beat=0.05, pre_start=0.3)
    policy = SINGLE if name == "misaligned" else NONE
    with Kubelet(kubelet_dir, times=times, root=str(kubelet_dir / "root"), policy=policy) as kubelet:
        pod = SITUATIONS[name](kubelet)
        recorded = plain(json.dumps(TEXTS[name]))

        kubelet.wait(lambda: plain(json.dumps(told(pod))) == recorded, f"{told(pod)}\n{TEXTS[name]}")


def plain(text: str) -> Mapping[str, Any]:
    """Without what differs each time: directories, and the ids of containers."""
    return dict(json.loads(_ID.sub("", re.sub(r"dial unix \S+/", "dial unix ", text))))
