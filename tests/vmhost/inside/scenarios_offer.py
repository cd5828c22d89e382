"""A group of the host is offered to kubelet: allocated, injected, and started as a whole."""

from __future__ import annotations

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
from tests.vmhost.inside import twins
from tests.vmhost.inside.devices import TWINS
from tests.vmhost.inside.patience import PATIENCE
from tests.vmhost.inside.scenario import expect, scenario

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench


@scenario
def a_group_is_offered_and_reaches_the_vm_whole(bench: Bench) -> None:
    """A member goes to a driver of the host, and comes back: kubelet hears of it. Then it gives the group to a pod, the
    sidecar injects what the agent wrote, and the VM starts with all of it."""
    with bench.bound(*TWINS), tempfile.TemporaryDirectory(prefix="offer-") as directory:
        with _offered(Path(directory)) as (kubelet, agent):
            twins.take_and_return(bench, lambda count: _await_healthy(kubelet, count), "healthy")
            mount = _allocate(bench, kubelet, agent)
        places, live = twins.start_vm(bench, mount)
        bench.record("the sidecar, from the agent's file", places, f"the VM: {live}")


def _await_healthy(kubelet: Kubelet, count: int) -> None:
    kubelet.wait(lambda: kubelet.allocatable(twins.RESOURCE) == count, f"{count} healthy", PATIENCE)


def _allocate(bench: Bench, kubelet: Kubelet, agent: AgentProcess) -> Path:
    """A pod gets the group; the sidecar's volume, with the file in it."""
    given = kubelet.create(Pod("virt-launcher-vm", {twins.RESOURCE: 1}), bound=True)
    mount = Directory(kubelet.directory).volume(given.uid, SIDECAR) / SIDECAR
    kubelet.wait(lambda: given.running or given.ended, "the pod runs", PATIENCE)
    expect(given.running, f"{given.message}\n{agent.log_text()}")
    said = twins.check_container(given.container())
    agent.until((mount / FILE).exists, PATIENCE)
    bench.record(f"Allocate of 1 {twins.RESOURCE}", "both cards, first and second", f"{twins.VARIABLE}={said}")
    return mount


@contextmanager
def _offered(directory: Path) -> Iterator[tuple[Kubelet, AgentProcess]]:
    """The group of these cards, by an agent, to a kubelet that has it; both are slow, as a node's are."""
    file = directory / "node.yaml"
    file.write_text(twins.state())
    flags = ("--manage", str(file), "--offer", "--state-dir", f"{directory}/state")
    with (
        Kubelet(directory / "kubelet", times=REAL, root="/") as kubelet,
        AgentProcess(kubelet.directory, *flags, host="/") as agent,
    ):
        agent.until(lambda: kubelet.allocatable(twins.RESOURCE) == 1, PATIENCE)
        yield kubelet, agent
