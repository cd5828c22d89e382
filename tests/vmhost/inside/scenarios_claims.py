"""A group of the host is offered by claim: published, prepared, injected, and started as a whole."""

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
from tests.hooksidecar.claims.cluster import ClaimNode, Host, claim_node
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
ATTRIBUTES = "/var/run/kubernetes.io/dra-device-attributes/"


@scenario
def a_claimed_group_reaches_the_vm_whole(bench: Bench) -> None:
    """A member goes to a driver of the host, and comes back: the slices follow. Then a pod is given the group by claim,
    and one by an extended resource; the sidecar injects what the agent wrote, and the VM starts with all of it."""
    with (
        bench.bound(*TWINS),
        tempfile.TemporaryDirectory(prefix="claims-") as directory,
        _claimed(Path(directory)) as (node, agent),
    ):
        _take_and_return(bench, node)
        (device,) = node.devices()
        _boot(bench, node, agent, node.pod("virt-launcher-vm", device))
        _boot(bench, node, agent, node.extended_pod("virt-launcher-ext", RESOURCE, device))


def _take_and_return(bench: Bench, node: ClaimNode) -> None:
    for change, count in ((pci.release, 0), (pci.bind, 1)):
        change(TWINS[1])
        node.wait(lambda: len(node.devices()) == count, f"{count} published")  # noqa: B023  now
        told = f"{pci.driver(TWINS[1])}: {count} of 1"
        bench.record(f"{change.__name__} {TWINS[1]}", f"{count} of 1 in the slices", told)


def _boot(bench: Bench, node: ClaimNode, agent: AgentProcess, given: Pod) -> None:
    """From the claim to the VM, and to nothing of it left."""
    mount = Directory(node.kubelet_dir).volume(given.uid, SIDECAR) / SIDECAR
    node.wait(lambda: given.running or given.ended, "the pod runs")
    expect(given.running, given.message)
    container = given.container()
    said, paths = container.environment[VARIABLE], {one.host_path for one in container.devices}
    expect(said == ",".join(map(str, TWINS)), f"the container was told {said}")
    expect("/dev/vfio/vfio" in paths and len(paths) > 1, f"the container has {paths}")
    files = [one.container_path.removeprefix(ATTRIBUTES) for one in container.mounts]
    agent.until((mount / FILE).exists, PATIENCE)
    how = "extended resource" if given.extended else "claim"
    bench.record(f"Prepare, {how}", "both cards, first and second", f"{VARIABLE}={said}, {files[0]}")
    with pod.sidecar(mount) as sidecar:
        answered = pod.passes(sidecar, launcher.recorded("q35-minimal"))[-1].answered.decode()
    places = guest.sources(answered)
    expect(places.keys() == set(map(str, TWINS)), f"the sidecar answered {places}")
    with bench.running(answered, validate=False) as running:
        live = guest.sources(str(running.XMLDesc()))
    expect(live == places, f"the sidecar answered {places}, the VM has {live}")
    node.end_pod(given)
    expect(not node.files(), f"left behind: {node.files()}")
    bench.record(
        f"the sidecar, {how}", guest.shown(places), f"the VM: {guest.shown(live)}; nothing is left of the claim"
    )


@contextmanager
def _claimed(directory: Path) -> Iterator[tuple[ClaimNode, AgentProcess]]:
    """The group of these cards, in slices of a driver, and an agent beside it; both are slow, as a node's are."""
    entry = {"resource": RESOURCE, "match": {"address": str(TWINS[0])}, "unit": "group", "by": "claim"}
    state = {"apiVersion": "passgate.dev/v1", "kind": "NodeState", "spec": {"offer": [entry]}}
    host = Host("/", json.dumps(state), 1, PATIENCE)
    with (
        claim_node(directory, REAL, host) as node,
        AgentProcess(node.kubelet_dir, host="/") as agent,
    ):
        node.serve()
        node.await_driver()
        yield node, agent
