"""Kubelet's directories mounted one by one, as the DaemonSet has them, and made anew on the node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hooksidecar.nodewatch.mounts import Mounts
from tests.hooksidecar.agent.envfile import ENVS
from tests.hooksidecar.agent.kubelet import Kubelet, uid
from tests.hooksidecar.sidecar import environment
from tests.patience import PATIENCE

PLACES = ("device-plugins", "pods", "pod-resources")
ENTER = """\
set -e
mount --make-rprivate /
for place in device-plugins pods pod-resources; do
    mkdir -p "$2/$place"
    mount --bind "$1/$place" "$2/$place"
done
view=$2
shift 2
exec "$@" --kubelet-dir "$view"
"""
CHECK = """\
import sys
from domxml.errors import HostUnreadable
from hooksidecar.nodewatch.mounts import Mounts
mounts = Mounts([f"{sys.argv[2]}/{place}" for place in ("device-plugins", "pods", "pod-resources")])
for _ in iter(sys.stdin.readline, ""):
    try:
        mounts.check()
        print("well", flush=True)
    except HostUnreadable as error:
        print(error.code, error.subject, flush=True)
"""


@contextmanager
def mounted(kubelet: Kubelet, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command where each directory is a mount of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, to mount")
    view = str(kubelet.directory.parent / "view")
    words = ["unshare", "--mount", "/bin/sh", "-c", ENTER, "sh", str(kubelet.directory), view, *command]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, env=environment(), text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def asked(process: subprocess.Popen[str]) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    if not (line := process.stdout.readline()):
        assert process.stderr
        if "mount" in (text := process.stderr.read()):
            pytest.skip(f"cannot mount here: {text.strip()}")
        raise AssertionError(text)
    return line.strip()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("how", ["removed", "renamed", "replaced", "all of it"])
def test_a_mount_of_what_was_is_noticed(kubelet: Kubelet, place: str, how: str) -> None:
    path = kubelet.directory / place
    with mounted(kubelet, sys.executable, "-c", CHECK) as process:
        assert asked(process) == "well"
        if how == "removed":
            path.rmdir()
        elif how == "all of it":
            kubelet.directory.rename(kubelet.directory.with_name("old"))
            kubelet.start()
        else:
            path.rename(path.with_name("old"))
            kubelet.start() if how == "replaced" else None

        code, subject = asked(process).split()

        assert code == "kubelet-dir-replaced"
        assert how == "all of it" or subject.endswith(f"view/{place}")


def test_what_changes_in_the_directories_is_no_reason(kubelet: Kubelet) -> None:
    with mounted(kubelet, sys.executable, "-c", CHECK) as process:
        assert asked(process) == "well"
        kubelet.served(uid(1), ENVS)
        shutil.rmtree(kubelet.directory / "pods" / uid(1))

        assert asked(process) == "well"


def test_on_the_node_itself_nothing_is_mounted(kubelet: Kubelet) -> None:
    mounts = Mounts([str(kubelet.directory / place) for place in PLACES])
    (kubelet.directory / "pods").rmdir()
    kubelet.start()

    mounts.check()


def test_the_agent_ends_to_be_started_anew(kubelet: Kubelet) -> None:
    with mounted(kubelet, sys.executable, "-m", "hooksidecar.agent.main", "--host", "none") as process:
        assert process.stderr
        while "watching" not in (line := process.stderr.readline()):
            assert line
        (kubelet.directory / "device-plugins").rmdir()
        kubelet.start()

        assert process.wait(PATIENCE) == 4
        said = process.stderr.read()
        assert "device-plugins: was made anew on the node" in said
        assert "start the pod anew" in said
