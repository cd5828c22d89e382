"""The real agent as others meet it: Prometheus, kubelet's probe, virt-handler, Node Feature Discovery."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hooksidecar.agent.kubelet import Kubelet, uid
from tests.hooksidecar.agent.process import AgentProcess, StartAgent
from tests.hooksidecar.agent.virthandler import Answers
from tests.hooksidecar.client import Client
from tests.hooksidecar.httpclient import ask
from tests.hostdev.cli.running import MACHINES, doctor

GPU = "0000:01:00.0"
RESOURCE = "nvidia.com/GA106"
MACHINE = str(MACHINES / "nvme-in-gpu-group.toml")


def vmi(pod: str) -> bytes:
    spec = {"domain": {"devices": {"gpus": [{"name": "gpu1", "deviceName": RESOURCE}]}}}
    return json.dumps({"metadata": {}, "spec": spec, "status": {"activePods": {pod: "node1"}}}).encode()


@pytest.fixture
def granted(kubelet: Kubelet) -> Kubelet:
    """One pod that is on the node, and one that is gone, with the same device."""
    for number in (1, 2):
        kubelet.allocate(uid(number), {"PCI_RESOURCE_NVIDIA_COM_GA106": GPU}, ids=["1"], resource=RESOURCE)
    kubelet.pod(uid(1))
    kubelet.save()
    return kubelet


def test_every_face(granted: Kubelet, start: StartAgent) -> None:
    base = granted.directory.parent
    labels = base / "features.d"
    labels.mkdir()
    flags = ("--listen", "127.0.0.1:0", "--node-hook-socket", str(base / "n.sock"), "--features-dir", str(labels))
    agent = start(*flags, host=MACHINE)
    port = agent.said("serving metrics")[0]["port"]

    said = Answers(Client(str(base / "n.sock")), []).refusal(vmi(uid(1))).details
    assert said.startswith("group-not-viable: ")
    # What to do is for the node, where it is known what the host does with its devices.
    assert any(line.startswith(said.partition(": on the node")[0]) for line in doctor("nvme-in-gpu-group", GPU))

    metrics = agent.until(lambda: _scraped(port, "passgate_findings{"))
    assert 'passgate_hook_verdicts_total{hook="PreVMStart",verdict="refused"} 1.0' in metrics
    assert 'passgate_devices{driver="vfio-pci",role="endpoint"} 2.0' in metrics
    assert ask(port, "/healthz")[1] == b"ok\n"

    text = agent.until(lambda: _read(labels / "passgate"))
    assert "passgate.dev/viable-groups.nvidia.com_GA106=0\n" in text
    assert [path.name for path in labels.iterdir()] == ["passgate"]

    assert agent.end()[0] == 0
    assert not (base / "n.sock").exists()


def test_an_address_that_is_none(kubelet: Kubelet) -> None:
    with AgentProcess(kubelet.directory, "--listen", "9100") as agent:
        code = agent.ended()

    assert (code, agent.log_text().splitlines()[0]) == (2, "error: 9100: is not ADDR:PORT [bad-listen]")


def _scraped(port: int, wanted: str) -> str:
    text = ask(port, "/metrics")[1].decode()
    return text if wanted in text else ""


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
