"""A mount as KubeVirt makes it, sidecars in it, and kubelet's directory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hooksidecar.sidecar import Sidecar, Start


@pytest.fixture
def mount() -> Iterator[Path]:
    """A short path: a unix socket has room for 107 bytes, and pytest's own directories take most of them."""
    base = Path(tempfile.mkdtemp(prefix="hk-"))
    path = base / "mount"
    path.mkdir()
    yield path
    path.chmod(0o755)
    shutil.rmtree(base)


@pytest.fixture
def kubelet_dir() -> Iterator[Path]:
    """Kubelet's; `root/dev` in it is the host's."""
    directory = Path(tempfile.mkdtemp(prefix="kd-"))
    for name in ("root/dev", "plugins_registry", "device-plugins"):
        (directory / name).mkdir(parents=True)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def start(mount: Path) -> Iterator[Start]:
    """Start a sidecar with one of the test cores."""
    with ExitStack() as open_:

        def begin(core: str = "same", *flags: str, env: dict[str, str] | None = None) -> Sidecar:
            return open_.enter_context(Sidecar(mount, core, *flags, env=env))

        yield begin
