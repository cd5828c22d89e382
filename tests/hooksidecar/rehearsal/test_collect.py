"""Collect's rules as the rehearsal plays them: bare names, files of any kind, one level, patience to the end."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from domxml.errors import BadInput, Refused
from hooksidecar.rehearsal.launcher import DIAL, TICK, Sidecar, collect
from hostdev.kubevirt.releases import POINT_RELEASES
from tests.hooksidecar.sidecar import Sidecar as Process


@pytest.fixture
def mounts() -> Iterator[list[str]]:
    """Two containers' parts of the hook volume, with short paths."""
    base = Path(tempfile.mkdtemp(prefix="hk-"))
    found = [base / "hook-sidecar-0", base / "hook-sidecar-1"]
    for mount in found:
        mount.mkdir()
    yield [str(mount) for mount in found]
    shutil.rmtree(base)


def running(mount: str) -> Process:
    """All of them say that they are hook-sidecar-0."""
    return Process(Path(mount), "same")


def test_two_sockets_of_one_name_count_as_one(mounts: list[str]) -> None:
    with running(mounts[0]) as first, running(mounts[1]) as second:
        first.ready()
        second.ready()

        with pytest.raises(Refused, match="1 of 2 sidecars answered within 2 s; virt-launcher would panic") as caught:
            collect(mounts, 2, 2)

    assert caught.value.hint == "every container needs one socket, of a name that no other container uses"


def test_what_is_no_socket_is_tried_for_ever_and_a_directory_never(mounts: list[str]) -> None:
    Path(mounts[0], "notes.txt").write_text("no socket")
    Path(mounts[0], "userdata").mkdir()
    Path(mounts[0], "userdata", "more.sock").write_text("one level too deep")

    with pytest.raises(Refused, match="0 of 1 sidecars"):
        collect(mounts[:1], 1, 1)
    with running(mounts[0]) as sidecar:
        sidecar.ready()
        (found,) = collect(mounts[:1], 1, 20)

    assert Path(found.path).name == "hook-sidecar-0.sock"


def test_kubevirt_15_dials_directories_too_and_loses_two_seconds_each_time(mounts: list[str]) -> None:
    Path(mounts[0], "userdata", "passgate").mkdir(parents=True)
    with running(mounts[0]) as sidecar:
        sidecar.ready()
        begun = time.monotonic()
        (found,) = collect(mounts[:1], 1, 20, dials_directories=True)
        slow = time.monotonic() - begun

    assert Path(found.path).name == "hook-sidecar-0.sock"
    assert slow >= DIAL
    assert {name for name, release in POINT_RELEASES.items() if release.dials_directories} == {
        f"1.5.{patch}" for patch in range(4)
    }


def test_a_sidecar_may_come_late(mounts: list[str]) -> None:
    found: list[Sidecar] = []
    thread = threading.Thread(target=lambda: found.extend(collect(mounts[:1], 1, 20)))
    thread.start()
    time.sleep(4 * TICK)
    with running(mounts[0]):
        thread.join()

    assert [one.name for one in found] == ["passgate"]


def test_a_mount_that_is_not_there_yet_is_empty(mounts: list[str]) -> None:
    with pytest.raises(Refused, match="0 of 1 sidecars"):
        collect([f"{mounts[0]}/absent"], 1, 0.1)


def test_a_mount_that_is_a_file_is_told(mounts: list[str]) -> None:
    Path(mounts[0], "file").touch()

    with pytest.raises(BadInput, match="cannot look for sockets: Not a directory"):
        collect([f"{mounts[0]}/file"], 1, 0.1)


@pytest.mark.parametrize(
    ("version", "points", "subscribed"),
    [
        ("v1alpha1", ("OnDefineDomain", "PreCloudInitIso", "Shutdown"), ["OnDefineDomain"]),
        ("v1alpha2", ("OnDefineDomain", "PreCloudInitIso", "Shutdown"), ["OnDefineDomain", "PreCloudInitIso"]),
        ("v1alpha3", ("Shutdown",), ["Shutdown"]),
    ],
)
def test_a_version_has_the_calls_it_has(version: str, points: tuple[str, ...], subscribed: list[str]) -> None:
    sidecar = Sidecar("/nowhere", "old", version, points)

    assert [point for point in points if sidecar.subscribes(point)] == subscribed
