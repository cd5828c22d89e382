"""A group of the host is offered by claim: published, prepared, injected, and started as a whole."""

from __future__ import annotations

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
from tests.vmhost.inside import twins
from tests.vmhost.inside.devices import TWINS
from tests.vmhost.inside.patience import PATIENCE
from tests.vmhost.inside.scenario import expect, scenario

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

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
        twins.take_and_return(
            bench,
            lambda count: node.wait(lambda: len(node.devices()) == count, f"{count} published"),
            "in the slices",
        )
        (device,) = node.devices()
        _boot(bench, node, agent, node.pod("virt-launcher-vm", device))
        _boot(bench, node, agent, node.extended_pod("virt-launcher-ext", twins.RESOURCE, device))


def _boot(bench: Bench, node: ClaimNode, agent: AgentProcess, given: Pod) -> None:
    """From the claim to the VM, and to nothing of it left."""
    mount = Directory(node.kubelet_dir).volume(given.uid, SIDECAR) / SIDECAR
    node.wait(lambda: given.running or given.ended, "the pod runs")
    expect(given.running, given.message)
    said = twins.check_container(given.container())
    files = [one.container_path.removeprefix(ATTRIBUTES) for one in given.container().mounts]
    agent.until((mount / FILE).exists, PATIENCE)
    how = "extended resource" if given.extended else "claim"
    bench.record(f"Prepare, {how}", "both cards, first and second", f"{twins.VARIABLE}={said}, {files[0]}")
    places, live = twins.start_vm(bench, mount)
    node.end_pod(given)
    expect(not node.files(), f"left behind: {node.files()}")
    bench.record(f"the sidecar, {how}", places, f"the VM: {live}; nothing is left of the claim")


@contextmanager
def _claimed(directory: Path) -> Iterator[tuple[ClaimNode, AgentProcess]]:
    """The group of these cards, in slices of a driver, and an agent beside it; both are slow, as a node's are."""
    host = Host("/", twins.state(by="claim"), 1, PATIENCE)
    with (
        claim_node(directory, REAL, host) as node,
        AgentProcess(node.kubelet_dir, host="/") as agent,
    ):
        node.serve()
        node.await_driver()
        yield node, agent
