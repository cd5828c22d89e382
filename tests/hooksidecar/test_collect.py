"""H8: ready means ready, by the rules with which virt-launcher collects its sidecars."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from domxml.errors import Refused
from hooksidecar.rehearsal.launcher import collect
from tests.hooksidecar.client import Client
from tests.hooksidecar.sidecar import NAME, Sidecar, Start, environment, names


def test_h8_it_is_collected_in_the_first_tick_after_its_socket_is_there(
    start: Start, mount: Path, mocker: MockerFixture
) -> None:
    start("device").ready()
    ticks = mocker.patch.object(time, "sleep", autospec=True)

    (found,) = collect([str(mount)], 1, 10)

    assert ticks.call_count <= 1
    assert (found.name, found.version, found.hook_points) == ("passgate", "v1alpha3", ("OnDefineDomain", "Shutdown"))


def test_h8_collecting_may_begin_before_the_sidecar(mount: Path, start: Start) -> None:
    """Whenever the scan comes, the socket is either not there or answers Info: an error of Info would be the end."""
    sidecars: list[object] = []
    thread = threading.Thread(target=lambda: sidecars.extend(collect([str(mount)], 1, 20)))
    thread.start()
    start("device")
    thread.join()

    assert len(sidecars) == 1


def test_h8_every_socket_that_can_be_seen_answers_at_once(mount: Path) -> None:
    """Dial without pause from the start of the process on: nothing in the mount ever fails to answer."""
    with Sidecar(mount, "same") as sidecar:
        while not (found := _files(mount)):
            assert sidecar.process.poll() is None
        assert found == [f"{NAME}.sock"]
        assert Client(f"{mount}/{found[0]}").info()


def test_h8_the_mount_holds_one_file_all_the_time(start: Start, mount: Path) -> None:
    (mount / "userdata").mkdir()
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.update(_files(mount))

    thread = threading.Thread(target=look)
    thread.start()
    sidecar = start("device")
    client = sidecar.ready()
    client.info()
    assert names(mount) == [f"{NAME}.sock", "userdata"]
    sidecar.end()
    stop.set()
    thread.join()

    assert seen == {f"{NAME}.sock"}
    assert names(mount) == ["userdata"]


def test_two_sidecars_are_told_apart_by_their_names(mount: Path) -> None:
    mounts = [mount / "hook-sidecar-0", mount / "hook-sidecar-1"]
    for path in mounts:
        path.mkdir()
    first = Sidecar(mounts[0], "same")
    second = Sidecar(mounts[1], "same", env=environment(CONTAINER_NAME="hook-sidecar-1"))
    with first, second:
        found = collect([str(path) for path in mounts], 2, 20)

    assert sorted(Path(one.path).name for one in found) == ["hook-sidecar-0.sock", "hook-sidecar-1.sock"]


def test_before_container_names_every_sidecar_makes_up_a_name(mount: Path) -> None:
    """Up to KubeVirt 1.5 all sidecars share one directory and know no name."""
    unnamed = environment()
    del unnamed["CONTAINER_NAME"]
    with Sidecar(mount, "same", env=unnamed), Sidecar(mount, "same", env=unnamed):
        found = collect([str(mount)], 2, 20)

    assert all(Path(one.path).name.startswith("passgate-") for one in found)


def test_the_collector_does_count_a_socket_that_does_not_answer(mount: Path) -> None:
    """The rules have teeth: a listener that speaks no gRPC is never collected."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{mount}/dumb.sock")
        listener.listen()

        with pytest.raises(Refused, match="0 of 1 sidecars answered"):
            collect([str(mount)], 1, 1)


def _files(mount: Path) -> list[str]:
    return [entry.name for entry in os.scandir(mount) if not entry.is_dir(follow_symlinks=False)]
