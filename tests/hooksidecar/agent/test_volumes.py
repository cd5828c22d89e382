"""The volumes of a pod: which of them, and what in them, is a sidecar's mount, and how one is told of the next."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from hooksidecar.agent.pods import LATEST
from hooksidecar.agent.volumes import EMPTY, MOST_ENTRIES
from tests.hooksidecar.agent.envfile import ENVS, variables
from tests.hooksidecar.agent.kubelet import FILE, HOOKS, PLUGINS, SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.process import NewNode

POD = uid(1)
OTHER_BOOT = "11111111-6e0c-4f8e-9d2c-6f9a3c1d7e11"


def test_every_sidecar_gets_it_and_a_later_one_too(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    hooks = kubelet.volume(POD, SIDECAR, "hook-sidecar-11", "something-else")
    plugins = kubelet.volume(POD, "passgate", "userdata", ".hidden", name=PLUGINS)
    state = node()

    assert state.sweep(whole=True).dropped == 3
    assert not (hooks / FILE).exists()
    (hooks / "hook-sidecar-2").mkdir()
    time.sleep(0.03)
    assert state.sweep(touched=[POD]).dropped == 1

    there = {str(path.relative_to(hooks.parent)) for path in hooks.parent.rglob("allocation.env")}
    folders = [f"{HOOKS}/{SIDECAR}", f"{HOOKS}/hook-sidecar-11", f"{HOOKS}/hook-sidecar-2", f"{PLUGINS}/passgate"]
    assert there == {f"{folder}/{FILE}" for folder in folders}
    assert not (plugins / "userdata" / "userdata").exists()


@pytest.mark.parametrize("what", ["socket", "directory", "nothing for a while"])
def test_before_kubevirt_1_6_the_volume_itself_is_the_mount(kubelet: Kubelet, node: NewNode, what: str) -> None:
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    hooks = kubelet.volume(POD)
    state = node()
    assert state.sweep(whole=True).dropped == 0
    assert 0 < state.next() - time.monotonic() <= 1.0

    if what == "socket":
        (hooks / "passgate-a1b2.sock").touch()
    elif what == "directory":
        (hooks / "userdata").mkdir()
    else:
        os.utime(hooks, (0, time.time() - EMPTY))

    assert state.sweep(whole=True).dropped == 1
    assert variables(hooks / FILE) == ENVS


def test_there_is_one_copy_of_the_file(kubelet: Kubelet, node: NewNode) -> None:
    """From KubeVirt 1.6 on the folder comes when its container is about to start, which may take minutes."""
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    hooks = kubelet.volume(POD)
    os.utime(hooks, (0, 0))
    state = node()
    assert state.sweep(whole=True).dropped == 1
    (hooks / SIDECAR).mkdir()

    swept = state.sweep(whole=True)

    assert (swept.dropped, swept.removed, swept.findings) == (1, 1, ())
    assert list(hooks.parent.rglob("allocation.env")) == [hooks / SIDECAR / FILE]
    assert (state.sweep(whole=True).kept, state.sweep(whole=True).removed) == (1, 0)


def test_what_others_have_put_beside_the_folders_stays(kubelet: Kubelet, node: NewNode) -> None:
    hooks = kubelet.served(POD, ENVS).parents[3]
    (hooks / FILE).parent.mkdir(parents=True)
    (hooks / FILE).write_text("QAT0=0000:3b:02.1\n")

    assert node().sweep(whole=True).removed == 0
    assert (hooks / FILE).exists()


def test_the_way_to_the_file_is_watched_and_not_the_volume_alone(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)
    watched: list[Path] = []

    def arm(fd: int, _uid: str) -> bool:
        watched.append(Path(f"/proc/self/fd/{fd}").readlink())
        return watched[-1] != path.parents[1]

    state = node(arm=arm)
    state.sweep(whole=True)

    assert watched == [path.parents[3], path.parents[1], path.parent]
    # One of them cannot be.
    assert 0 < state.next() - time.monotonic() <= 1.0


def test_a_volume_that_is_late_is_looked_for_soon_and_then_less_often(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    state = node()
    waits = []
    for _ in range(9):
        state.sweep()
        waits.append(state.next() - time.monotonic())
        state._pods[POD].again = 0.0  # The clock.

    assert waits[0] < 0.03
    assert all(after > before - 0.02 for before, after in pairwise(waits))
    assert waits[-1] == pytest.approx(LATEST, abs=0.1)
    volume = kubelet.volume(POD, SIDECAR)
    state._pods[POD].again = 0.0  # The clock.
    assert state.sweep().dropped == 1
    # From here on it is told of what comes, and quick again.
    (volume / "hook-sidecar-1").mkdir()
    state.sweep(touched=[POD])
    assert state.next() - time.monotonic() < 0.03


def test_a_volume_that_cannot_be_watched_is_looked_at(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.served(POD, ENVS)
    state = node(watched=False)

    state.sweep(whole=True)

    assert 0 < state.next() - time.monotonic() <= 1.0


@pytest.mark.parametrize("name", [HOOKS, PLUGINS])
def test_a_volume_with_more_names_than_are_read_is_told(kubelet: Kubelet, node: NewNode, name: str) -> None:
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    volume = kubelet.volume(POD, name=name)
    for number in range(MOST_ENTRIES + 1):
        (volume / f".{number}").touch()

    swept = node().sweep(whole=True)

    (finding,) = swept.findings
    assert (finding.code, finding.subject) == ("drop-obstructed", f"pod {POD}")
    assert f"{name}: has more than 1024 names" in finding.message
