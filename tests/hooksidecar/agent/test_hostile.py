"""A pod that plants things in its volume: nothing is written outside of it, and the others are served."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from hooksidecar.agent import volumes
from hooksidecar.agent.visit import PLANTED, visit
from tests.hooksidecar.agent.envfile import ENVS, variables
from tests.hooksidecar.agent.kubelet import FILE, HOOKS, SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.process import NewNode, StartAgent

BAD, GOOD = uid(6), uid(7)
PARTS = (SIDECAR, f"{SIDECAR}/userdata", f"{SIDECAR}/userdata/passgate", f"{SIDECAR}/{FILE}")
NEW = f"{SIDECAR}/userdata/passgate/.allocation.env.new"
RACES = 400


@pytest.fixture(params=["openat2", "walk"])
def way(request: pytest.FixtureRequest, mocker: MockerFixture) -> str:
    """Both ways to open a directory below another."""
    if request.param == "walk":
        mocker.patch.object(volumes, "kernel_has_it", autospec=True, return_value=False)
    elif not volumes.kernel_has_it():
        pytest.skip("this kernel has no openat2")
    return str(request.param)


@pytest.fixture
def victim(kubelet: Kubelet) -> Path:
    """What lies outside, for the pod to point at: on the same file system, so that it can be linked."""
    path = kubelet.directory.parent / "victim"
    path.mkdir()
    (path / "allocation.env").write_text("precious")
    (path / "userdata" / "passgate").mkdir(parents=True)
    (path / "passgate").mkdir()
    (path / "userdata" / "passgate" / "allocation.env").write_text("precious")
    return path


def shot(victim: Path) -> dict[str, tuple[object, ...]]:
    """Everything of it that may not change."""
    return {str(path): _state(path) for path in [victim, *sorted(victim.rglob("*"))]}


def _state(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    content = path.read_bytes() if path.is_file() else b""
    return content, found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_ino


def pods(kubelet: Kubelet) -> tuple[Path, Path]:
    """The bad pod's volume, and where the good one's file belongs."""
    kubelet.allocate(BAD, ENVS)
    good = kubelet.served(GOOD, ENVS)
    return kubelet.volume(BAD), good


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A directory as a descriptor."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


Plant = Callable[[Path, Path], object]
OBSTACLES: dict[str, Plant] = {
    "link": lambda place, victim: place.symlink_to(victim),
    "relative link": lambda place, victim: place.symlink_to(os.path.relpath(victim, place.parent)),
    "link through proc": lambda place, victim: place.symlink_to(f"/proc/{os.getpid()}/root{victim}"),
    "link to itself": lambda place, _: place.symlink_to(place.name),
    "dangling link": lambda place, _: place.symlink_to("/nowhere/at/all"),
    "fifo": lambda place, _: os.mkfifo(place),
    "file": lambda place, _: place.write_text("planted"),
    "socket": lambda place, _: os.mknod(place, stat.S_IFSOCK | 0o600),
    "hard link": lambda place, victim: place.hardlink_to(victim / "allocation.env"),
}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", OBSTACLES)
@pytest.mark.parametrize("part", [*PARTS, NEW])
def test_whatever_is_planted_nothing_outside_changes(
    kubelet: Kubelet, node: NewNode, victim: Path, part: str, kind: str
) -> None:
    volume, good = pods(kubelet)
    place = made(volume / part)
    OBSTACLES[kind](place, victim)
    before = shot(victim) if kind != "hard link" else {}

    state = node()
    swept = state.sweep(whole=True)

    assert variables(good) == ENVS
    if kind == "hard link":
        assert (victim / "allocation.env").read_text() == "precious"
    else:
        assert shot(victim) == before
    if part in {PARTS[-1], NEW}:
        # A file's place is taken by renaming a new one over it.
        assert (swept.dropped, swept.findings) == (2, ())
        assert variables(volume / PARTS[-1]) == ENVS
        assert not (volume / PARTS[-1]).is_symlink()
    else:
        assert (swept.dropped, swept.failed) == (1, 1)
        (finding,) = swept.findings
        assert (finding.code, finding.subject) == ("drop-obstructed", f"pod {BAD}")
        assert finding.message.startswith(f"{HOOKS}/{SIDECAR}/{FILE}: ")
    # And when the grant is gone there is nothing to follow either.
    kubelet.free(BAD)
    kubelet.save()
    assert state.sweep().failed == 0
    assert (victim / "allocation.env").read_text() == "precious"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("part", [PARTS[-1], NEW])
def test_a_directory_in_the_place_of_the_file(kubelet: Kubelet, node: NewNode, part: str) -> None:
    volume, good = pods(kubelet)
    (volume / part / "full").mkdir(parents=True)

    swept = node().sweep(whole=True)

    assert [(finding.code, finding.subject) for finding in swept.findings] == [("drop-obstructed", f"pod {BAD}")]
    assert variables(good) == ENVS


@pytest.mark.usefixtures("way")
def test_a_second_name_of_our_file_is_no_hold_on_it(kubelet: Kubelet, node: NewNode) -> None:
    volume, _ = pods(kubelet)
    (volume / SIDECAR).mkdir()
    node().sweep(whole=True)
    path = volume / PARTS[-1]
    (volume / "kept").hardlink_to(path)

    assert node().sweep(whole=True).dropped == 1
    assert path.stat().st_nlink == 1


def test_a_volume_with_a_great_many_names(kubelet: Kubelet, node: NewNode) -> None:
    volume, good = pods(kubelet)
    for number in range(3000):
        (volume / f"hook-sidecar-{number}").mkdir()

    swept = node().sweep(whole=True)

    assert swept.dropped <= 65
    assert variables(good) == ENVS


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["proc", "sys"])
def test_a_mount_is_not_entered(name: str) -> None:
    with opened(Path("/")) as root:
        with pytest.raises(OSError, match="cross-device") as refused:
            volumes.open_directory(root, name)
        os.close(volumes.open_directory(root, name, may_cross=True))

    assert refused.value.errno in PLANTED


@pytest.mark.parametrize("path", ["..", "b/../..", "/", "/etc", "../a", ""])
@pytest.mark.usefixtures("way")
def test_no_way_leads_up_or_out(tmp_path: Path, path: str) -> None:
    (tmp_path / "a").mkdir(parents=True)
    with opened(tmp_path / "a") as fd, pytest.raises(OSError, match=r"cross-device|No such file"):
        os.close(volumes.open_directory(fd, path, may_cross=True))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("part", [PARTS[0], PARTS[1], PARTS[2], PARTS[3], NEW])
def test_a_process_that_swaps_an_honest_thing_and_a_link_all_the_time(
    kubelet: Kubelet, victim: Path, part: str
) -> None:
    volume, good = pods(kubelet)
    place = made(volume / part)
    if part not in {PARTS[3], NEW}:
        made(volume / PARTS[2]).mkdir(exist_ok=True)
    before = shot(victim)
    dropped = refused = 0
    with (
        opened(kubelet.directory / "pods") as there,
        swapping(place, (victim / "allocation.env" if "env" in part else victim)),
    ):
        for turn in range(RACES):
            content = b"QAT0=0000:3d:02.%d\n" % (turn % 8)
            done = visit(there, BAD, content, lambda _fd, _uid: True)
            dropped, refused = dropped + done.dropped, refused + len(done.findings)
            assert {finding.code for finding in done.findings} <= {"drop-obstructed"}
        assert visit(there, GOOD, b"QAT0=0000:3d:02.2\n", lambda _fd, _uid: True).dropped == 1

    print(f"{part}: {dropped} dropped, {refused} refused")
    assert dropped
    assert shot(victim) == before
    assert good.read_bytes() == b"QAT0=0000:3d:02.2\n"


@contextmanager
def swapping(place: Path, target: Path) -> Iterator[None]:
    """Meanwhile another process renames a link to the target and what lies in the place over each other."""
    command = [sys.executable, "-m", "tests.hooksidecar.agent.swapper", str(place), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"swapping\n"
            yield
        finally:
            process.kill()


def test_a_pod_that_makes_things_all_the_time_gets_no_more_than_its_share(kubelet: Kubelet, start: StartAgent) -> None:
    volume, good = pods(kubelet)
    agent = start()
    agent.until(good.exists)
    flood = (
        "import os, sys\n"
        "for turn in range(1 << 30):\n"
        "    name = f'{sys.argv[1]}/hook-sidecar-{turn % 100}'\n"
        "    os.mkdir(name) if turn // 100 % 2 == 0 else os.rename(name, f'{sys.argv[1]}/x{turn}')\n"
    )
    with subprocess.Popen([sys.executable, "-c", flood, str(volume)]) as process:
        try:
            before, begun = agent.cpu_seconds(), time.monotonic()
            for number in range(20, 30):
                agent.until(kubelet.served(uid(number), ENVS).exists)
                time.sleep(0.1)
            used, took = agent.cpu_seconds() - before, time.monotonic() - begun
        finally:
            process.kill()

    print(f"{used:.2f} s of the processor in {took:.2f} s")
    assert used < took * 0.75
