"""A node with its API server, its kubelet, and the driver as a process, as many times as a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.apiserver.lifecycle import allocate, claim_of, release, reserve
from tests.apiserver.pools import every_device, is_complete, newest
from tests.apiserver.server import ApiServerDouble
from tests.apiserver.storage import Object
from tests.hooksidecar.agent.process import AgentProcess
from tests.kubelet.cluster import StoredCluster
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.pods import ClaimUse, Container, ExtendedClaim, Pod, PodClaim
from tests.kubelet.times import QUICK, Times
from tests.patience import PATIENCE

DRIVER, NODE, RESOURCE = "units.passgate.dev", "worker-1", "example.com/qat"
MACHINE = Path(__file__).parents[2] / "fixtures/machines/qat.toml"
PROGRAM = ("-m", "hooksidecar.claims.main")
VARIABLE = "PCI_RESOURCE_EXAMPLE_COM_QAT"
UNITS = 16
STATE = f"""\
apiVersion: passgate.dev/v1
kind: NodeState
spec:
  offer:
  - resource: {RESOURCE}
    match: {{id: "8086:37c9", driver: vfio-pci}}
    by: claim
"""


class Host(NamedTuple):
    """What the driver looks at, and what of it is offered."""

    path: str = str(MACHINE)
    state: str = STATE
    units: int = UNITS
    patience: float = PATIENCE


RECORDED = Host()


class ClaimNode:
    """Its parts; processes of the driver end with it."""

    def __init__(self, directory: Path, stack: ExitStack, times: Times = QUICK, host: Host = RECORDED) -> None:
        self.host, self.kubelet_dir, self._stack = host, directory / "k", stack
        self.root = Path("/") if host.path == "/" else self._made_root(directory / "root")
        self.processes: list[AgentProcess] = []
        self.cdi_dir = self.root / "var/run/cdi"
        self.state = directory / "state.yaml"
        self.state.write_text(host.state)
        self.api = stack.enter_context(ApiServerDouble())
        self.api.storage.create("nodes", {"metadata": {"name": NODE}})
        self.account = self.api.service_account(directory / "account")
        (self.kubelet_dir / "plugins").mkdir(parents=True)
        made = Kubelet(
            self.kubelet_dir, times=times, root=str(self.root), cluster=StoredCluster(self.api.storage, NODE)
        )
        self.kubelet = stack.enter_context(made)

    def _made_root(self, root: Path) -> Path:
        for name in ("vfio", *map(str, range(100))):
            node = root / "dev/vfio" / name
            node.parent.mkdir(parents=True, exist_ok=True)
            node.touch()
        # What is mounted from there the runtime finds below its root.
        seen = root / self.kubelet_dir.relative_to("/")
        seen.parent.mkdir(parents=True)
        seen.symlink_to(self.kubelet_dir)
        return root

    @property
    def flags(self) -> tuple[str, ...]:
        """What a process is started with."""
        own = {"--state": self.state, "--node": NODE, "--cdi-dir": self.cdi_dir, "--api-server": self.api.url}
        own |= {"--service-account-dir": self.account, "--listen": "127.0.0.1:0"}
        return tuple(f"{name}={value}" for name, value in own.items())

    def serve(self) -> AgentProcess:
        """One more process of the driver."""
        process = AgentProcess(self.kubelet_dir, *self.flags, host=self.host.path, program=PROGRAM)
        self._stack.enter_context(process)
        self.processes.append(process)
        process.until(lambda: process.said("serving claims"), self.host.patience)
        return process

    def wait(self, condition: Callable[[], object], what: str = "") -> None:
        """Until it is so; where it never is, the log says why."""
        try:
            self.kubelet.wait(condition, what, self.host.patience)
        except AssertionError as error:
            error.add_note("\n".join(process.log_text() for process in self.processes))
            raise

    def await_driver(self) -> None:
        """Until kubelet knows it, and the scheduler what there is."""
        self.wait(lambda: self.kubelet.claims.drivers.is_connected(DRIVER), "kubelet knows the driver")
        self.wait(lambda: len(self.devices()) == self.host.units, "all units are published")

    def slices(self) -> list[Object]:
        """Those of the pool's newest generation."""
        return newest(self.api.storage.select("resourceslices"))

    def devices(self) -> list[str]:
        """The names of devices of a pool that is complete; else none."""
        slices = self.slices()
        return [device["name"] for device in every_device(slices)] if is_complete(slices) else []

    def pod(self, name: str, device: str) -> Pod:
        """A VM's pod with a claim of its own name, as the scheduler binds it."""
        uses = Container("compute", claims=(ClaimUse("gpu"),))
        pod = Pod(name, containers=(uses,), claims=(PodClaim("gpu", name),))
        return self._bound(pod, claim_of(name, "gpu", "qat", "gpu"), device)

    def extended_pod(self, name: str, resource: str, device: str) -> Pod:
        """One that asks for a resource as of a device plugin, of which the scheduler makes a claim."""
        request = "container-0-request-0"
        uses = Container("compute", limits={resource: 1})
        pod = Pod(name, containers=(uses,), extended=ExtendedClaim(name, (("compute", resource, request),)))
        return self._bound(pod, claim_of(name, request, "qat"), device)

    def _bound(self, pod: Pod, claim: Object, device: str) -> Pod:
        (request,) = (one["name"] for one in claim["spec"]["devices"]["requests"])
        claim = self.api.storage.create("resourceclaims", claim, "default")
        result = {"request": request, "driver": DRIVER, "pool": NODE, "device": device}
        claim = allocate(self.api.storage, claim, [result])
        reserve(self.api.storage, claim, pod.name, pod.uid)
        return self.kubelet.create(pod, bound=True)

    def end_pod(self, pod: Pod) -> None:
        """Let it end, until nothing of it is left on the node."""
        self.kubelet.delete(pod)
        self.wait(lambda: pod not in self.kubelet.pods, f"{pod.name} is gone")
        claim = self.api.storage.get("resourceclaims", pod.name, "default")
        release(self.api.storage, claim, pod.uid)

    def files(self) -> set[str]:
        """What is kept of claims, but for sockets and locks."""
        own = self.kubelet_dir / "plugins" / DRIVER
        places = [*self.cdi_dir.glob("*"), *own.rglob("*.json")]
        return {path.name for path in places if path.is_file()}


@contextmanager
def claim_node(directory: Path, times: Times = QUICK, host: Host = RECORDED) -> Iterator[ClaimNode]:
    """A node without any process of the driver."""
    with ExitStack() as stack:
        yield ClaimNode(directory, stack, times, host)
