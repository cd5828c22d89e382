"""The node agent on the host, with a kubelet's directory: what it gives to sidecars, and what its node hook refuses."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from hooksidecar.agent.nodehook import METHOD
from tests.hooksidecar.agent.kubelet import SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.process import AgentProcess
from tests.hooksidecar.client import Client, Failed
from tests.hooksidecar.wirebytes import message
from tests.vmhost.inside import guest, launcher, pod
from tests.vmhost.inside.devices import DISPLAY, VF
from tests.vmhost.inside.domains import domain, hostdev
from tests.vmhost.inside.patience import PATIENCE
from tests.vmhost.inside.scenario import Mismatch, expect, scenario

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

RESOURCE = "intel.com/sriov"
VARIABLE = "PCIDEVICE_INTEL_COM_SRIOV"
NODE = "node1"


@scenario
def what_kubelet_gave_reaches_the_sidecar(bench: Bench) -> None:
    """`passgate-agent --once` writes the file that the sidecar of that volume injects from; libvirt reads it back."""
    with _kubelet() as kubelet:
        _grant(kubelet, 1, VF)
        mount = kubelet.volume(uid(1), SIDECAR) / SIDECAR
        kubelet.save()
        with AgentProcess(kubelet.directory, "--once", host="/") as agent:
            code = agent.process.wait(PATIENCE)
        expect(code == 0, f"the agent ended with {code}:\n{agent.log_text()}")
        vm = launcher.recorded("q35-minimal")
        with pod.sidecar(mount) as sidecar:
            made = pod.passes(sidecar, vm)
    answered = guest.sources(made[-1].answered.decode())
    read = guest.sources(made[-1].defined.decode())
    expect(answered.keys() == {str(VF)} and read == answered, f"answered {answered}, libvirt read {read}")
    bench.record(f"kubelet's record with {VF}, agent, sidecar", guest.shown(answered), f"libvirt: {guest.shown(read)}")


@scenario
def the_node_hook_refuses_what_libvirt_refuses(bench: Bench) -> None:
    """Before a VM starts: a group that is not viable, and a VF that two pods were granted."""
    with _kubelet() as kubelet:
        for number, device in ((1, DISPLAY), (2, VF), (3, VF)):
            _grant(kubelet, number, device)
        kubelet.save()
        socket = kubelet.directory.parent / "node.sock"
        with AgentProcess(kubelet.directory, "--node-hook-socket", str(socket), host="/") as agent:
            agent.until(socket.exists, PATIENCE)
            unfit, twice = (_refusal(socket, number) for number in (1, 2))
    words = bench.forced(domain("unfit", hostdev(DISPLAY)))
    expect("group-not-viable" in unfit and "is not viable" in words, f"{unfit}\n{words}")
    bench.record(f"PreVMStart with {DISPLAY}", unfit, words)
    with bench.running(domain("holder", hostdev(VF))):
        words = bench.forced(domain("second", hostdev(VF)))
    expect("device-in-use" in twice and "is in use" in words, f"{twice}\n{words}")
    bench.record(f"PreVMStart with {VF} granted twice", twice, words)


@contextmanager
def _kubelet() -> Iterator[Kubelet]:
    with tempfile.TemporaryDirectory(prefix="node-") as directory:
        yield Kubelet(Path(directory, "kubelet"))


def _grant(kubelet: Kubelet, number: int, device: PciAddress) -> None:
    kubelet.allocate(uid(number), {VARIABLE: str(device)}, ids=[str(device)], resource=RESOURCE)
    kubelet.pod(uid(number))


def _refusal(socket: Path, number: int) -> str:
    vmi = {
        "metadata": {"name": f"vm{number}", "namespace": "default"},
        "spec": {"domain": {"resources": {"limits": {RESOURCE: "1"}}}},
        "status": {"activePods": {uid(number): NODE}},
    }
    try:
        Client(str(socket)).call(METHOD, message(f1="PreVMStart", f2=json.dumps(vmi).encode(), f3=message(f1=NODE)), 60)
    except Failed as failed:
        return f"{failed.code.name}: {failed.details}"
    raise Mismatch(f"the node hook lets VM {number} start")
