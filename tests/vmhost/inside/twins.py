"""The twins' group as it is offered: what changes with a member, what a container of it has, and the VM that starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kubelet.pods import Container
from tests.vmhost.inside import guest, launcher, pci, pod
from tests.vmhost.inside.devices import TWINS
from tests.vmhost.inside.scenario import expect

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

RESOURCE = "example.com/nic"
VARIABLE = "PCI_RESOURCE_EXAMPLE_COM_NIC"


def state(**more: str) -> str:
    """The file that offers the group; `more` is of its entry."""
    entry = {"resource": RESOURCE, "match": {"address": str(TWINS[0])}, "unit": "group", **more}
    return json.dumps({"apiVersion": "passgate.dev/v1", "kind": "NodeState", "spec": {"offer": [entry]}})


def take_and_return(bench: Bench, wait_for: Callable[[int], None], what: str) -> None:
    """A member goes to a driver of the host, and comes back; each time it is waited for how many units there are."""
    for change, count in ((pci.release, 0), (pci.bind, 1)):
        change(TWINS[1])
        wait_for(count)
        told = f"{pci.driver(TWINS[1])}: {count} of 1"
        bench.record(f"{change.__name__} {TWINS[1]}", f"{count} of 1 {what}", told)


def check_container(container: Container) -> str:
    """It has the whole group; what its variable says."""
    said, nodes = container.environment[VARIABLE], {node.host_path for node in container.devices}
    expect(said == ",".join(map(str, TWINS)), f"the container was told {said}")
    expect("/dev/vfio/vfio" in nodes and len(nodes) > 1, f"the container has {nodes}")
    return said


def start_vm(bench: Bench, mount: Path) -> tuple[str, str]:
    """The sidecar of that volume injects both, and the VM has them: where, by the one and by the other."""
    with pod.sidecar(mount) as sidecar:
        answered = pod.passes(sidecar, launcher.recorded("q35-minimal"))[-1].answered.decode()
    places = guest.sources(answered)
    expect(places.keys() == set(map(str, TWINS)), f"the sidecar answered {places}")
    with bench.running(answered, validate=False) as running:
        live = guest.sources(str(running.XMLDesc()))
    expect(live == places, f"the sidecar answered {places}, the VM has {live}")
    return guest.shown(places), guest.shown(live)
