"""A directory for kubelet, short enough for sockets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def kubelet_dir() -> Iterator[Path]:
    """Kubelet's; `root/dev` in it is the host's."""
    directory = Path(tempfile.mkdtemp(prefix="kd-"))
    for name in ("root/dev", "plugins_registry", "device-plugins"):
        (directory / name).mkdir(parents=True)
    yield directory
    shutil.rmtree(directory)
