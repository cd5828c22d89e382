"""A group of the host is offered to kubelet: allocated, injected, and started as a whole."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hooksidecar.agent.kubelet import FILE, SIDECAR
from tests.hooksidecar.agent.kubelet import Kubelet as Directory
from tests.hooksidecar.agent.process import AgentProcess
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.pods import Pod
from tests.kubelet.times import REAL
from tests.vmhost.inside import guest, launcher, pci, pod
from tests.vmhost.inside.devices import TWINS
from tests.vmhost.inside.scenario import expect, scenario

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

RESOURCE = "example.com/nic"
VARIABLE = "PCI_RESOURCE_EXAMPLE_COM_NIC"
PATIENCE = 300.0
"""Seconds; the host's processors are slow."""


@scenario
def a_group_is_offered_and_reaches_the_vm_whole(bench: Bench) -> None:
    """A member goes to a driver of the host, and comes back: kubelet hears of it. Then it gives the group to a pod, the
    sidecar injects what the agent wrote, and the VM starts with all of it."""
    with bench.bound(*TWINS), tempfile.TemporaryDirectory(prefix="offer-") as directory:
        with _offered(Path(directory)) as (kubelet, agent):
            _take_and_return(bench, kubelet)
            mount = _allocate(bench, kubelet, agent)
        with pod.sidecar(mount) as sidecar:
            made = pod.passes(sidecar, launcher.recorded("q35-minimal"))
        answered = made[-1].answered.decode()
        with bench.running(answered, validate=False) as running:
            live = guest.sources(str(running.XMLDesc()))
        places = guest.sources(answered)
        expect(places.keys() == set(map(str, TWINS)), f"the sidecar answered {places}")
        expect(live == places, f"the sidecar answered {places}, the VM has {live}")
        bench.record("the sidecar, from the agent's file", guest.shown(places), f"the VM: {guest.shown(live)}")


def _take_and_return(bench: Bench, kubelet: Kubelet) -> None:
    for change, healthy in ((pci.release, 0), (pci.bind, 1)):
        change(TWINS[1])
        kubelet.wait(lambda: kubelet.allocatable(RESOURCE) == healthy, f"{healthy} healthy", PATIENCE)  # noqa: B023  now
        told = f"{pci.driver(TWINS[1])}: {healthy} of 1"
        bench.record(f"{change.__name__} {TWINS[1]}", f"{healthy} of 1 healthy", told)


def _allocate(bench: Bench, kubelet: Kubelet, agent: AgentProcess) -> Path:
    """A pod gets the group; the sidecar's volume, with the file in it."""
    given = kubelet.create(Pod("virt-launcher-vm", {RESOURCE: 1}), bound=True)
    mount = Directory(kubelet.directory).volume(given.uid, SIDECAR) / SIDECAR
    kubelet.wait(lambda: given.running or given.ended, "the pod runs", PATIENCE)
    expect(given.running, f"{given.message}\n{agent.log_text()}")
    said, nodes = given.container().environment[VARIABLE], {node.host_path for node in given.container().devices}
    expect(said == ",".join(map(str, TWINS)), f"kubelet was told {said}")
    expect("/dev/vfio/vfio" in nodes and len(nodes) > 1, f"the container has {nodes}")
    agent.until((mount / FILE).exists, PATIENCE)
    bench.record(f"Allocate of 1 {RESOURCE}", "both cards, first and second", f"{VARIABLE}={said}")
    return mount


@contextmanager
def _offered(directory: Path) -> Iterator[tuple[Kubelet, AgentProcess]]:
    """The group of these cards, by an agent, to a kubelet that has it; both are slow, as a node's are."""
    entry = {"resource": RESOURCE, "match": {"address": str(TWINS[0])}, "unit": "group"}
    state = {"apiVersion": "passgate.dev/v1", "kind": "NodeState", "spec": {"offer": [entry]}}
    file = directory / "node.yaml"
    file.write_text(json.dumps(state))
    flags = ("--manage", str(file), "--offer", "--state-dir", f"{directory}/state")
    with (
        Kubelet(directory / "kubelet", times=REAL, root="/") as kubelet,
        AgentProcess(kubelet.directory, *flags, host="/") as agent,
    ):
        agent.until(lambda: kubelet.allocatable(RESOURCE) == 1, PATIENCE)
        yield kubelet, agent
