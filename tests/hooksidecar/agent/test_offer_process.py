"""The agent as a process that offers: beside a double of kubelet, until it is told to end or is killed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hooksidecar.agent.kubelet import Kubelet as KubeletDirectory
from tests.hooksidecar.agent.process import AgentProcess
from tests.hooksidecar.deviceplugin.devices import settle, sockets
from tests.kubelet.kubelet import Kubelet
from tests.patience import SOON

# gRPC's own thread, which looks whether a channel is ready, may find it closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

RESOURCE = "example.com/nothing"
STATE = f"""\
apiVersion: passgate.dev/v1
kind: NodeState
spec:
  offer: [{{resource: {RESOURCE}, match: {{id: "ffff:fffe"}}}}]
"""


@pytest.fixture
def agent(kubelet: KubeletDirectory, tmp_path: Path) -> Iterator[AgentProcess]:
    """It offers what no machine has: kubelet knows the resource, and no device of it."""
    (kubelet.directory / "plugins_registry").mkdir()
    file = tmp_path / "node-state.yaml"
    file.write_text(STATE)
    flags = ("--offer", "--manage", str(file), "--state-dir", str(tmp_path / "state"))
    with AgentProcess(kubelet.directory, *flags, host="/") as agent:
        yield agent.ready()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_registers_and_its_end_leaves_nothing_that_hurts(
    kubelet: KubeletDirectory, agent: AgentProcess, number: signal.Signals
) -> None:
    with Kubelet(kubelet.directory) as running:
        running.wait(lambda: RESOURCE in running.manager.resources)
        agent.until(lambda: agent.said("registered"))
        # One that ends while kubelet registers it leaves kubelet blind: no plugin can do anything about that.
        settle(running)
        assert len(sockets(kubelet.directory)) == 1

        code, seconds = agent.end(number)

        assert code == (0 if number is signal.SIGTERM else -number)
        assert seconds < SOON
        running.wait(lambda: running.manager.resources[RESOURCE].stopped)
        assert len(sockets(kubelet.directory)) == (0 if number is signal.SIGTERM else 1)


def test_without_kubelet_it_goes_on_and_says_so_once(kubelet: KubeletDirectory, agent: AgentProcess) -> None:
    agent.until(lambda: agent.said("unregistered"))
    time.sleep(2.5)

    assert len(agent.said("unregistered")) == 1
    assert agent.process.poll() is None
    with Kubelet(kubelet.directory) as running:
        running.wait(lambda: RESOURCE in running.manager.resources)
