"""A node for each test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hooksidecar.agent.pods import Node
from hooksidecar.agent.visit import Arm
from hooksidecar.nodewatch.record import Record
from tests.hooksidecar.agent.kubelet import Kubelet
from tests.hooksidecar.agent.process import AgentProcess, NewNode, StartAgent


@pytest.fixture
def kubelet() -> Iterator[Kubelet]:
    """On a short path: it holds unix sockets."""
    base = Path(tempfile.mkdtemp(prefix="kl-"))
    yield Kubelet(base / "kubelet")
    shutil.rmtree(base)


@pytest.fixture
def start(kubelet: Kubelet) -> Iterator[StartAgent]:
    """Start an agent on it."""
    with ExitStack() as running:

        def begin(*flags: str, host: str = "none") -> AgentProcess:
            return running.enter_context(AgentProcess(kubelet.directory, *flags, host=host)).ready()

        yield begin


@pytest.fixture
def node(kubelet: Kubelet) -> NewNode:
    """The agent's state, without a process around it."""

    def new(boot_id: str = "", *, writes: bool = True, watched: bool = True, arm: Arm | None = None) -> Node:
        directory = str(kubelet.directory)
        return Node(directory, Record(directory, boot_id), arm or (lambda _fd, _uid: watched), writes=writes)

    return new
