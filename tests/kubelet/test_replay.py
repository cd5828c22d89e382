"""The recorded kubelet's messages, made again by the double: the same messages in, the same messages out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import grpc
import pytest

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from tests.kubelet.checkpoint import NAME
from tests.kubelet.player import Answer
from tests.kubelet.pods import Container, Pod
from tests.kubelet.replay import Replay, Script, Step, is_played_otherwise, start, stop
from tests.kubelet.surprises import ALL, Surprise
from tests.kubelet.transcript import scenario

LAB = "units.lab.dev/"


def pod(name: str, *, alone: bool = True, **limits: int) -> Step:
    """A pod with one container, bound past the scheduler; those before it are deleted if it is to be alone."""
    return containers(
        name, Container(limits={f"{LAB}{resource}": number for resource, number in limits.items()}), alone=alone
    )


def containers(name: str, *given: Container, alone: bool = True) -> Step:
    """A pod with these."""

    def create(replay: Replay) -> None:
        if alone:
            gone(replay)
        replay.pods[name] = replay.kubelet.create(Pod(name, containers=given), bound=True)

    return create


def gone(replay: Replay) -> None:
    """All pods are deleted."""
    for one in list(replay.kubelet.pods):
        replay.kubelet.delete(one)


def crash(name: str) -> Step:
    """Its container ends."""

    def end(replay: Replay) -> None:
        replay.kubelet.wait(lambda: replay.pods[name].running)
        replay.kubelet.crash(replay.pods[name])

    return end


def policy(name: str) -> Step:
    """Kubelet's topology manager gets another policy."""

    def set_policy(replay: Replay) -> None:
        replay.kubelet.policy = name

    return set_policy


def corrupt(replay: Replay) -> None:
    """Its checkpoint says something that its checksum does not."""
    path = replay.kubelet.plugins / NAME
    path.write_text(path.read_text().replace('"Checksum":', '"Checksum":1'))


def lose(replay: Replay) -> None:
    """It is removed."""
    (replay.kubelet.plugins / NAME).unlink()


def ended(plugin: str) -> Step:
    """The plugin's process is killed."""
    return lambda replay: replay.stop(plugin)


def registered(resource: str, endpoint: str) -> Step:
    """By a client whose own messages were not recorded; its options are another's than the plugin answers."""
    options = api.DevicePluginOptions(pre_start_required=True, get_preferred_allocation_available=True)
    request = api.RegisterRequest(version="v1beta1", endpoint=endpoint, resource_name=resource, options=options)
    return lambda replay: replay.send_register(request)


def fails(plugin: str, call: str, code: grpc.StatusCode, details: str) -> Step:
    """It answers so; the recording has only what became of it."""

    def fail(replay: Replay) -> None:
        replay.kubelet.wait(lambda: replay.is_asked(plugin, call))
        replay.fail(plugin, call, Answer(code=code, details=details))

    return fail


def removed(replay: Replay) -> None:
    """Something else removes the socket."""
    Path(replay.players[f"{LAB}watch"].socket).unlink()


def renamed(replay: Replay) -> None:
    """The socket that was made under a hidden name is moved over the one that kubelet knows."""
    Path(replay.players["renamed"].socket).rename(replay.players["second"].socket)


def one(number: int, *, init: bool = False, sidecar: bool = False, name: str = "compute") -> Container:
    """A container that wants so many of what scenario E offers."""
    return Container(name, {f"{LAB}a": number}, init=init, sidecar=sidecar)


def within(seconds: float) -> Step:
    """The plugin gives Register so long."""

    def set_timeout(replay: Replay) -> None:
        replay.register_timeout = seconds

    return set_timeout


def alone_each(wants: Mapping[int, int]) -> Script:
    """A pod before each of these lines."""
    return {line: [pod(f"pod{line}", a=number)] for line, number in wants.items()}


SCRIPTS: Mapping[str, Script] = {
    "A": {7: [pod("one", gpu=1)], 13: [pod("three", alone=False, gpu=3)]},
    "B": {
        28: [pod("hold", law=1)],
        39: [pod("odd", law=6)],
        42: [pod("one", law=1)],
        44: [pod("many", alone=False, law=2000)],
    },
    "C": {58: [pod("w", watch=1)], 60: [removed], 70: [ended(f"{LAB}watch")], 81: [renamed]},
    "D": {},
    "E": {
        238: [containers("two", one(2, name="c1"), one(1, name="c2"))],
        246: [containers("init", one(2, init=True, name="init"), one(3))],
        254: [containers("side", one(1, init=True, sidecar=True, name="side"), one(1))],
        **alone_each(
            {262: 1, 266: 1, 273: 1, 277: 2, 281: 2, 285: 2, 289: 2, 293: 2, 295: 8}
            | dict.fromkeys((313, 317, 321, 325, 329, 333, 337, 365, 369, 373, 377, 381, 385), 1)
        ),
        269: [
            fails(f"{LAB}a", "Allocate", grpc.StatusCode.UNKNOWN, "Exception calling application: no"),
            pod("none", a=1),
        ],
        299: [pod("prerr", pre=1)],
        307: [pod("restarts", pre=1)],
        311: [crash("restarts")],
        **{line: [pod(f"both{line}", a=1, b=1)] for line in (341, 347, 353, 359)},
        389: [pod("none", a=0, b=0)],
    },
    "F": {
        402: [pod("hang", hang=1)],
        404: [pod("dies", alone=False, hang=1)],
        405: [ended(f"{LAB}hang")],
        413: [pod("ph", prehang=1)],
        417: [gone],
        428: [within(1.0)],
        432: [within(15.0)],
        442: [fails(f"{LAB}noopt", "GetDevicePluginOptions", grpc.StatusCode.UNIMPLEMENTED, "no")],
    },
    "G": {
        453: [pod("a", two=1)],
        462: [pod("b", alone=False, two=1)],
        466: [ended("first")],
        493: [pod("three", alone=False, two=3)],
        496: [pod("again", two=1)],
    },
    "H": {515: [pod("hold", gone=1)], 519: [pod("hold2", alone=False, gone=1)]},
    "L": {
        573: [pod("p1", reg=1)],
        575: [pod("p2", alone=False, reg=1)],
        577: [pod("p3", alone=False, wat=1)],
        579: [pod("p4", alone=False, wat=1)],
        583: [stop],
        592: [start],
        611: [gone, pod("p1", reg=1)],
        613: [pod("pcrash", alone=False, reg=1)],
        616: [crash("pcrash"), stop],
        618: [start],
        639: [stop],
        643: [start],
        664: [pod("after", reg=1)],
    },
    "M": {
        698: [pod("m2", m=2)],
        700: [pod("m1", m=1)],
        702: [pod("completes", m=1)],
        704: [pod("next", m=2)],
        713: [pod("m", m=2)],
        715: [pod("n", alone=False, n=2)],
        720: [pod("c1", m=1)],
        722: [stop, corrupt],
        723: [start],
        730: [pod("c2", alone=False, m=2)],
        732: [pod("c3", m=1)],
        734: [stop, lose],
        735: [start],
        749: [stop, corrupt],
        750: [start],
        757: [pod("c4", m=1)],
        761: [pod("c5", m=1)],
        765: [stop, lose],
        766: [start],
        773: [stop, policy("best-effort")],
        774: [start],
        795: [pod("t1", t=1)],
        799: [pod("t3", t=3)],
        803: [pod("o1", t1=1)],
        807: [pod("plain", m=1)],
        811: [pod("both", m=1, t=1)],
        819: [stop, policy("single-numa-node")],
        822: [start],
        843: [pod("t1", t=1)],
        847: [pod("plain", m=1)],
        851: [pod("both", m=1, t=1)],
    },
    "R": {
        1028: [pod("c1", m=1)],
        1032: [stop, corrupt],
        1033: [start],
        1040: [pod("c2", alone=False, m=1)],
        1054: [registered(f"{LAB}zombie", "units.lab.dev-zombie.sock")],
        1058: [pod("y", zombie=1)],
        1071: [pod("y2", zombie=1)],
    },
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_kubelets_messages_are_the_recorded_ones(name: str, kubelet_dir: Path) -> None:
    assert not Replay(kubelet_dir, tuple(scenario(name)), SCRIPTS[name]).play()


@pytest.mark.parametrize(
    ("without", "name"),
    [
        (Surprise.PREFERENCE_IS_ALWAYS_ASKED, "A"),
        (Surprise.ALLOCATE_HAS_NO_DEADLINE, "A"),
        (Surprise.REGISTER_OPTIONS_IGNORED, "A"),
        (Surprise.STREAM_END_CUTS_THE_CURRENT, "G"),
    ],
)
def test_a_kubelet_that_does_what_one_expects_says_something_else(
    without: Surprise, name: str, kubelet_dir: Path
) -> None:
    replay = Replay(kubelet_dir, tuple(scenario(name)), SCRIPTS[name], surprises=ALL - {without}, patience=1.0)

    assert is_played_otherwise(replay)
