"""A node whose kubelet, cluster and drivers are as a test wants them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from hooksidecar.claims.server import DraServer
from hooksidecar.claims.source import PreparedDevice
from tests.hooksidecar.claims.drivers import DRIVER, Answers, serving
from tests.kubelet.cluster import Object, Objects, claim_object
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.pods import ClaimUse, Container, Pod, PodClaim
from tests.kubelet.surprises import ALL, Surprise
from tests.kubelet.times import QUICK
from tests.kubelet.wire import ASKS

PREPARE, UNDO = "NodePrepareResources", "NodeUnprepareResources"


class KubeletNode:
    """A kubelet, its cluster, and drivers of ours, as a test wants them."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory, self._stack = directory, stack
        self.cluster, self.answers = Objects(), Answers()
        self.answers.released.set()
        self.servers: list[DraServer] = []
        self.kubelet: Kubelet
        self.end: Callable[[], None]
        """Ends the driver that was there at the start."""

    def start(self, surprises: frozenset[Surprise] = ALL, *, driver: bool = True) -> Kubelet:
        root = str(self.directory / "root")
        made = Kubelet(self.directory, times=QUICK, surprises=surprises, root=root, cluster=self.cluster)
        self.kubelet = self._stack.enter_context(made)
        if driver:
            self.end = self.serve()
            self.await_driver()
        return self.kubelet

    def serve(self) -> Callable[[], None]:
        """One more process of the driver; the answer ends it."""
        process = ExitStack()
        self.servers.append(process.enter_context(serving(self.directory, self.answers)))
        self._stack.callback(process.close)
        return process.close

    def await_driver(self) -> None:
        self.wait(lambda: self.kubelet.claims.drivers.is_connected(DRIVER), "the driver is known")

    def wait(self, condition: Callable[[], object], what: str = "") -> None:
        self.kubelet.wait(condition, what)

    def asked(self, call: str) -> int:
        """How often."""
        return sum(one.call == call and one.kind == ASKS for one in self.kubelet.wire)

    def pod(self, name: str, claim: str, *devices: str, uses: tuple[ClaimUse, ...] = ()) -> Pod:
        """One with a claim, which is allocated and reserved."""
        pod = with_claim(name, claim, *uses)
        known = self.cluster.find_claim("default", claim)
        pods = {one["name"]: one["uid"] for one in known["status"]["reservedFor"]} if known else {}
        given = devices or ("gpu=u0",)
        self.cluster.add(claim_object(claim, f"uid-{claim}", pods | {name: pod.uid}, *given, driver=DRIVER))
        return self.kubelet.create(pod, bound=True)

    def run(self, name: str, claim: str, *devices: str) -> Pod:
        pod = self.pod(name, claim, *devices)
        self.wait(lambda: pod.running, f"{name} runs")
        return pod

    def cdi(self, name: str, spec: Object) -> None:
        """A file that the runtime reads."""
        path = self.directory / "root/var/run/cdi" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(spec))

    def unit(self, claim: str, **devices: str) -> None:
        """A claim's CDI file: one variable in each device, and its node."""
        made = [device_edits(f"uid-{claim}-{name}", value) for name, value in devices.items()]
        self.cdi(claim, {"cdiVersion": "0.6.0", "kind": f"{DRIVER}/claim", "devices": made})


def with_claim(name: str, claim: str = "c", *uses: ClaimUse) -> Pod:
    """A pod whose container has what its claim has."""
    return Pod(name, containers=(Container(claims=uses or (ClaimUse("gpu"),)),), claims=(PodClaim("gpu", claim),))


def device_edits(name: str, value: str) -> Object:
    return {"name": name, "containerEdits": {"env": [f"PCI_RESOURCE_GPU={value}"]}}


def prepared(request: str, claim: str, *names: str) -> PreparedDevice:
    ids = tuple(f"{DRIVER}/claim=uid-{claim}-{name}" for name in names)
    return PreparedDevice((request,), "node", names[0], ids)


def told(pod: Pod) -> Mapping[str, str]:
    return pod.container().status.get("claim:gpu", {})
