"""A directory for kubelet with a path that is short enough for sockets."""

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
    (directory / "root/dev").mkdir(parents=True)
    yield directory
    shutil.rmtree(directory)
