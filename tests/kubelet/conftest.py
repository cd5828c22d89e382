"""A directory for kubelet with a path that is short enough for sockets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kubelet.claimnodes import KubeletNode


@pytest.fixture
def kubelet_dir() -> Iterator[Path]:
    """Kubelet's; `root/dev` in it is the host's."""
    directory = Path(tempfile.mkdtemp(prefix="kd-"))
    (directory / "root/dev").mkdir(parents=True)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def node(kubelet_dir: Path) -> Iterator[KubeletNode]:
    with ExitStack() as stack:
        node = KubeletNode(kubelet_dir, stack)
        node.unit("c", u0="0000:3d:00.0", u1="0000:3e:00.0")
        yield node
