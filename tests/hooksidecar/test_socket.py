"""H8, H9: where the socket is made, its mode, and every mount in which none can be made."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hostdev.socketpath import LONGEST
from tests.domxml.domains import load
from tests.hooksidecar.client import Failed
from tests.hooksidecar.sidecar import NAME, Sidecar, Start, environment, names
from tests.patience import PATIENCE


def refused(mount: Path, *flags: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Start a sidecar that cannot serve; its exit code and what it said."""
    with Sidecar(mount, "same", *flags, env=env) as sidecar:
        code = sidecar.process.wait(PATIENCE)
        return code, sidecar.log_text()


def test_h9_owner_and_group_may_connect_and_nobody_else(start: Start) -> None:
    sidecar = start()
    sidecar.ready()

    assert stat.S_IMODE(sidecar.path.lstat().st_mode) == 0o660


def test_h8_a_socket_that_a_killed_server_left_is_replaced(start: Start) -> None:
    domain = load("q35-default")
    first = start("stuck")
    first.ready()
    first.end(signal.SIGKILL)
    assert first.path.exists()
    old = first.path.lstat().st_ino

    second = start("device")
    while second.path.lstat().st_ino == old:
        assert second.process.poll() is None, second.log_text()

    assert b"ua-passgate-qat" in second.ready().define(domain)


def test_h8_killed_in_the_middle_of_a_call_the_next_one_serves(mount: Path) -> None:
    with Sidecar(mount, "stuck", "--wait", "10") as first, ThreadPoolExecutor(1) as pool:
        call = pool.submit(first.ready().define, b"<domain>stuck</domain>")
        time.sleep(0.3)
        first.end(signal.SIGKILL)
        assert isinstance(call.exception(), Failed)
    old = first.path.lstat().st_ino
    with Sidecar(mount, "device") as second:
        while second.path.lstat().st_ino == old:
            assert second.process.poll() is None, second.log_text()

        assert b"ua-passgate-qat" in second.ready().define(load("q35-default"))
        assert names(mount) == [f"{NAME}.sock"]


@pytest.mark.parametrize("moment", range(0, 160, 10))
def test_h8_killed_at_any_moment_of_its_start_the_next_one_serves(mount: Path, moment: int) -> None:
    with Sidecar(mount, "same") as first:
        with pytest.raises(subprocess.TimeoutExpired):
            first.process.wait(moment / 1000)
        first.end(signal.SIGKILL)
    with Sidecar(mount, "same") as second:
        while not second.said("serving"):
            assert second.process.poll() is None, second.log_text()
        assert second.ready().info()
        assert names(mount) == [f"{NAME}.sock"]


def test_what_a_killed_server_left_half_made_is_swept(start: Start, mount: Path) -> None:
    hidden = mount / ".passgate"
    hidden.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(hidden / "s"))

    start().ready().info()

    assert names(mount) == [f"{NAME}.sock"]


def test_a_second_server_is_refused_and_the_first_goes_on(start: Start, mount: Path) -> None:
    client = start().ready()

    code, said = refused(mount)

    assert code == 5
    assert f"error: {mount}/{NAME}.sock: another server answers at this socket [socket-taken]" in said
    assert "hint: end it, or let each container have its own CONTAINER_NAME" in said
    assert client.info()


def test_of_two_that_start_at_once_exactly_one_serves(mount: Path) -> None:
    with Sidecar(mount, "same") as one, Sidecar(mount, "same") as two:
        while None not in (ends := [one.process.poll(), two.process.poll()]) or ends == [None, None]:
            assert ends.count(None), "none serves"
        (loser,) = (sidecar for sidecar in (one, two) if sidecar.process.poll() is not None)
        assert loser.process.returncode == 5
        assert one.ready().info()


def test_while_another_process_sets_up_its_socket_nobody_else_does(mount: Path) -> None:
    fd = os.open(mount, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    code, said = refused(mount)
    os.close(fd)

    assert code == 5
    assert f"error: {mount}: another process holds the directory's lock [socket-busy]" in said
    with Sidecar(mount, "same") as sidecar:
        assert sidecar.ready().info()


def test_something_else_in_the_place_of_the_socket_stays(mount: Path) -> None:
    (mount / f"{NAME}.sock").write_text("precious")

    code, said = refused(mount)

    assert (code, (mount / f"{NAME}.sock").read_text()) == (5, "precious")
    assert "there is something that is no socket [socket-taken]" in said


def test_no_mount(mount: Path) -> None:
    code, said = refused(mount / "absent")

    assert code == 2
    assert f"error: {mount}/absent: no socket can be made here: No such file or directory [socket-directory]" in said
    assert "hint: KubeVirt mounts it into every hook sidecar" in said


def test_a_mount_that_is_a_file(mount: Path) -> None:
    (mount / "file").touch()

    assert refused(mount / "file")[0] == 2


def test_a_mount_we_may_not_write(mount: Path) -> None:
    """Root may write anywhere, unless it has no capabilities."""
    mount.chmod(0o555)
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    said = subprocess.run(
        [*drop, *_program(mount)], env=environment(), capture_output=True, text=True, check=False, timeout=60
    )

    assert said.returncode == 3
    assert "no socket can be made here: Permission denied [socket-directory]" in said.stderr


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ("ro", 3, "no socket can be made here: Read-only file system [socket-directory]"),
        ("nr_inodes=1", 2, "no socket can be made here: No space left on device [socket-directory]"),
        ("nr_inodes=2", 2, "no socket can be made here [socket-bind]\nhint: look at the mount: is it full?"),
    ],
)
def test_a_mount_that_takes_nothing(mount: Path, options: str, code: int, reason: str) -> None:
    if os.getuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, to mount something")
    script = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
    said = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(mount), *_program(mount)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode in {1, 32}:  # Those of unshare and mount.
        pytest.skip(f"cannot mount a tmpfs here: {said.stderr.strip()}")

    assert said.returncode == code, said.stderr
    assert reason in said.stderr


def test_a_path_that_no_unix_socket_can_have_is_told(mount: Path) -> None:
    fits = mount / ("d" * (LONGEST - len(f"{mount}//{NAME}.sock")))
    fits.mkdir()
    with Sidecar(fits, "same") as sidecar:
        assert sidecar.ready().info()
    long = mount / ("d" * (LONGEST - len(f"{mount}//{NAME}.sock") + 1))
    long.mkdir()

    code, said = refused(long)

    assert code == 2
    assert "the path has 108 bytes; a unix socket has room for 107 [path-too-long]" in said


@pytest.mark.parametrize("name", ["a/b", "../up", ".hidden"])
def test_a_container_name_that_is_no_file_name(mount: Path, name: str) -> None:
    code, said = refused(mount, env=environment(CONTAINER_NAME=name))

    assert code == 2
    assert "which cannot name a file in the mount [bad-container-name]" in said
    assert names(mount) == []


def test_a_mount_with_strange_letters(mount: Path) -> None:
    """What gRPC reads as an address must not be taken for more than a path."""
    strange = mount / "50%25 #? ü"
    strange.mkdir()

    with Sidecar(strange, "same") as sidecar:
        while not sidecar.said("serving"):
            assert sidecar.process.poll() is None, sidecar.log_text()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(sidecar.path))


def _program(mount: Path) -> list[str]:
    return Sidecar(mount, "same").command
