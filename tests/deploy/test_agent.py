"""The real agent, with the arguments and capabilities of each overlay: they suffice, and none is too many."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from tests.deploy.manifests import daemon
from tests.hooksidecar.agent.kubelet import Kubelet, uid
from tests.hooksidecar.sidecar import environment
from tests.house import ROOT

NEEDED = ("CHOWN", "DAC_OVERRIDE")
UID = 107
"""The user of a VM."""


@pytest.fixture
def kubelet(tmp_path: Path) -> Kubelet:
    """With the permissions that kubelet gives."""
    if os.geteuid() != 0:
        pytest.skip("only root can try what is left of root")
    if shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv on this machine")
    kubelet = Kubelet(tmp_path / "kubelet")
    for name in ("pods", "pod-resources"):
        (kubelet.directory / name).chmod(0o750)
    return kubelet


def run(overlay: str, directory: Path, capabilities: tuple[str, ...]) -> int:
    """One sweep; how the agent ends."""
    (container,) = daemon(overlay)["containers"]
    own = [word for word in container["args"] if not word.startswith(("--kubelet-dir", "--listen", "--node-hook"))]
    kept = ",".join(["-all", *(f"+{name.lower()}" for name in capabilities)])
    confined = ["setpriv", "--bounding-set", kept, "--inh-caps", "-all", "--no-new-privs"]
    agent = [sys.executable, "-m", "hooksidecar.agent.main", "--kubelet-dir", str(directory), "--host=none", "--once"]
    return subprocess.run(
        [*confined, *agent, *own], cwd=ROOT, env=environment(), check=False, capture_output=True, timeout=60
    ).returncode


def given(overlay: str) -> tuple[str, ...]:
    """The capabilities that the overlay adds to none."""
    (container,) = daemon(overlay)["containers"]
    return tuple(container["securityContext"]["capabilities"].get("add", ()))


@pytest.mark.parametrize("overlay", ["overlays/agent", "overlays/plugin"])
def test_it_brings_the_file(kubelet: Kubelet, overlay: str) -> None:
    file = kubelet.served(uid(1), {"QAT0": "0000:3d:02.2"})

    assert run(overlay, kubelet.directory, given(overlay)) == 0

    assert b"QAT0=0000:3d:02.2" in file.read_bytes()
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (UID, 0o400)


@pytest.mark.parametrize("missing", NEEDED)
def test_it_cannot_do_without(kubelet: Kubelet, missing: str) -> None:
    file = kubelet.served(uid(1), {"QAT0": "0000:3d:02.2"})

    ended = run("overlays/agent", kubelet.directory, tuple(name for name in NEEDED if name != missing))

    assert ended == ExitCode.FINDINGS
    assert not file.exists()


def test_the_observer_needs_nothing_and_leaves_nothing(kubelet: Kubelet) -> None:
    """It sees two directories of kubelet's, and no pod."""
    kubelet.served(uid(1), {"QAT0": "0000:3d:02.2"})
    shutil.rmtree(kubelet.directory / "pods")
    before = _everything(kubelet.directory)

    assert run("overlays/agent-observe", kubelet.directory, given("overlays/agent-observe")) == 0

    assert _everything(kubelet.directory) == before


def test_the_observer_does_not_even_write_where_it_could(kubelet: Kubelet) -> None:
    kubelet.served(uid(1), {"QAT0": "0000:3d:02.2"})
    before = _everything(kubelet.directory)

    assert run("overlays/agent-observe", kubelet.directory, NEEDED) == 0

    assert _everything(kubelet.directory) == before


def _everything(directory: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path): (status.st_mode, status.st_mtime_ns, status.st_size)
        for path in directory.rglob("*")
        if (status := path.lstat())
    }
