"""The recorded kubelet's claims, made again by the double: the same requests, files and texts."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hostdev.kubelet.stubs import podresources_v1_pb2 as podresources
from tests.kubelet import devicehealth, drastate
from tests.kubelet.claimreplay import DRIVER, STATES, ClaimReplay, uses, uses_extended
from tests.kubelet.podresources import ask_podresources
from tests.kubelet.pods import Container, Pod
from tests.kubelet.replay import Replay, Script, Step, is_played_otherwise, start, stop
from tests.kubelet.surprises import ALL, Surprise
from tests.kubelet.transcript import CLAIMS, scenario


def deleted(*names: str, force: bool = False) -> Step:
    """Pods are, when they run; by force without a word to the driver."""

    def delete(replay: Replay) -> None:
        for name in names:
            pod = replay.pods[name]
            replay.kubelet.wait(lambda pod=pod: pod.has_sandbox)  # type: ignore[misc]
            replay.kubelet.delete(pod, force=force)

    return delete


def running(*names: str) -> Step:
    """They are."""
    return lambda replay: replay.kubelet.wait(lambda: all(replay.pods[name].running for name in names))


def sandbox_killed(name: str) -> Step:
    """With all of its containers."""
    return lambda replay: replay.kubelet.kill_sandbox(replay.pods[name])


def by_plugin(replay: Replay) -> None:
    """The scheduler has chosen the device plugin, which the Node counts."""
    pod = Pod("plugin", containers=(Container(limits={f"{DRIVER}/dragpu": 1}),))
    replay.pods["plugin"] = replay.kubelet.create(pod, bound=True)


# What there was beside the messages.


def event(name: str, recorded: str) -> Step:
    """The first that a pod has."""

    def check(replay: Replay) -> None:
        pod = replay.pods[name]
        replay.kubelet.wait(lambda: pod.events)
        note(replay, "event", pod.events[0].message, STATES["events"][recorded])

    return check


def listed(recorded: str) -> Step:
    """By PodResources; of one pod alone as Get has it."""

    def check(replay: Replay) -> None:
        answer = podresources.ListPodResourcesResponse.FromString(b64decode(STATES["podresources"][recorded]))
        found = ask_podresources(replay.kubelet.directory, "List", podresources.ListPodResourcesRequest())
        note(replay, recorded, found, answer.SerializeToString())

    return check


def status(name: str, recorded: str) -> Step:
    """Of its container: health of each device."""

    def check(replay: Replay) -> None:
        container = replay.pods[name].container()
        wanted = STATES["status"][recorded]
        replay.kubelet.wait(lambda: allocated(container) == wanted, f"{allocated(container)} to become {wanted}")

    return check


def allocated(container: Container) -> list[Mapping[str, Any]]:
    """As a pod's allocatedResourcesStatus has it."""
    return [
        {"name": name, "resources": [_resource(one, health, container.notes[one]) for one, health in devices.items()]}
        for name, devices in sorted(container.status.items())
    ]


def _resource(name: str, health: str, message: str) -> Mapping[str, str]:
    return {"resourceID": name, "health": health} | ({"message": message} if message else {})


def container_of_the_first(replay: Replay) -> None:
    """What the runtime made of the recorded CDI files."""
    container = replay.pods["dr0"].container()
    note(replay, "variable", container.environment, {"PCI_RESOURCE_UNITS_LAB_DEV_GPU": "0000:3d:00.0,0000:3d:00.1"})
    note(replay, "nodes", [tuple(one) for one in container.devices], [("/dev/fuse", "/dev/fuse", "rw")])
    inside = "/var/run/kubernetes.io/dra-device-attributes/resourceclaimtemplates/gpu/gpu/units.lab.dev-metadata.json"
    note(replay, "mounts", [one.container_path for one in container.mounts], [inside])


def manager_state(replay: Replay) -> None:
    """The file, to the byte."""
    found = (replay.kubelet.directory / drastate.NAME).read_text()
    note(replay, drastate.NAME, found, STATES["manager_state"])


def health_state(replay: Replay) -> None:
    """The file, but for the time."""
    found, recorded = (_timeless(text) for text in (_read_health(replay), STATES["health_state"]))
    note(replay, devicehealth.NAME, found, recorded)


def _read_health(replay: Replay) -> str:
    return (replay.kubelet.directory / devicehealth.NAME).read_text()


def _timeless(text: str) -> Any:
    found = json.loads(text)
    for driver in found.values():
        for device in driver["Devices"].values():
            del device["LastUpdated"]
    return found


def note(replay: Replay, what: str, found: object, recorded: object) -> None:
    assert isinstance(replay, ClaimReplay)
    replay.check(what, found, recorded)


SCRIPTS: Mapping[str, Script] = {
    "K": {
        527: [
            uses("dr0", "dr0-gpu-f27z2", "gpu", uid="eac6e833-d4d7-4585-8c9c-db0286f4c6a2"),
            event("dr0", "driver-not-registered"),
        ],
        536: [running("dr0"), container_of_the_first, manager_state, listed("get-dra")],
        537: [status("dr0", "unhealthy"), health_state, deleted("dr0")],
    },
    "L": {
        581: [uses("pd", "pd-gpu-9x7f9", "gpu")],
        584: [stop],
        588: [start],
        615: [stop],
        620: [start],
        640: [stop],
        645: [start],
        666: [deleted("pd")],
    },
    "N": {
        872: [uses("sh1", "shared"), uses("sh2", "shared", alone=False)],
        876: [running("sh1", "sh2"), listed("list-dra-shared"), deleted("sh1", "sh2")],
        878: [uses("pair", "pair", "a", "b", name="p")],
        880: [running("pair"), status("pair", "two-requests"), listed("list-dra-two-requests"), deleted("pair")],
        882: [uses("two", "two")],
        884: [running("two"), listed("list-dra-count-2"), deleted("two")],
        886: [uses_extended("ext", "ext-extended-resources-h8xzc", "compute")],
        888: [running("ext"), status("ext", "extended-resource"), listed("list-dra-extended"), deleted("ext")],
        890: [uses_extended("ext2", "ext2-extended-resources-q9f28", "compute", "other")],
        892: [running("ext2"), deleted("ext2")],
        901: [by_plugin],
        903: [deleted("plugin")],
        905: [uses_extended("ext3", "ext3-extended-resources-5jw29", "compute")],
        907: [running("ext3"), deleted("ext3")],
        909: [uses("e1", "e1-g-6lb48")],
        911: [event("e1", "prepare-error")],
        913: [running("e1"), deleted("e1")],
        919: [uses("e2", "e2-g-ljxt9")],
        921: [deleted("e2")],
        923: [uses("f1", "f1-g-9mzh2")],
        927: [deleted("f1", force=True)],
        936: [uses("k1", "k1-g-qpwjd")],
        938: [stop],
        939: [start],
        945: [sandbox_killed("k1")],
        947: [running("k1"), deleted("k1")],
    },
    "O": {
        958: [uses("st", "st-gpu-z45kz")],
        960: [deleted("st")],
        971: [uses("st2", "st-gpu-rf7p4")],
        973: [deleted("st2")],
        **{
            line: step
            for first, name in ((984, "trynone"), (988, "trysorted"), (992, "tryunsorted"), (996, "tryspaces"))
            for line, step in ((first, [uses(name, name)]), (first + 2, [deleted(name)]))
        },
    },
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_kubelets_requests_are_the_recorded_ones(name: str, kubelet_dir: Path) -> None:
    lines = tuple(scenario(name, part=CLAIMS))

    assert not ClaimReplay(kubelet_dir, lines, SCRIPTS[name]).play()


def test_a_kubelet_that_does_what_one_expects_asks_once_for_two_pods(kubelet_dir: Path) -> None:
    lines = tuple(scenario("N1", part=CLAIMS))
    replay = ClaimReplay(kubelet_dir, lines, SCRIPTS["N"], surprises=ALL - {Surprise.PREPARED_TWICE}, patience=1.0)

    assert is_played_otherwise(replay)
