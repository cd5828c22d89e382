"""A kubelet's device manager and its manager of claims, with as much of a node around them as a plugin or a driver can
tell from a real one.

It speaks gRPC on unix sockets, in kubelet's directory as kubelet has it, and was written from the observations of a
kubelet 1.36.2; `test_replay.py` holds it against the recorded messages of that one, to the byte.

What it cannot prove: how long a real node takes; what a kubelet of another version does; the API server's part beyond
one node and one scheduler, and claims, which a test or a double of it makes; devices in the cgroup and their owners;
mounts and annotations of a device plugin, which it ignores; what the runtime says where CDI names a node or a file that
is not there; whether a device whose plugin left while it was Unhealthy is still told to be so; and what becomes of a
container without a record that is started again.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Self

import grpc

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from tests.kubelet.checkpoint import Entry
from tests.kubelet.clients import VERSION, Clients, Refused, is_extended
from tests.kubelet.cluster import Cluster, Objects
from tests.kubelet.dice import Dice
from tests.kubelet.dra import ClaimManager
from tests.kubelet.manager import HEALTHY, Manager, Misaligned, Refusal
from tests.kubelet.node import Node
from tests.kubelet.podresources import PodResources
from tests.kubelet.pods import FAILED, MISALIGNED, PENDING, REFUSED, RUNNING, SUCCEEDED, Container, Event, Pod, State
from tests.kubelet.registry import DevicePlugins, Handler, Registry
from tests.kubelet.runtime import CONFIG, Runtime, Unstartable
from tests.kubelet.sandboxes import Sandboxes
from tests.kubelet.surprises import ALL, Surprise
from tests.kubelet.times import QUICK, Times
from tests.kubelet.topology import NONE
from tests.kubelet.wire import ASKS, SocketServer, Wire
from tests.patience import PATIENCE, SOON


class Kubelet:
    """Runs while the `with` block lasts; it may be stopped and started meanwhile, and the pods run on."""

    def __init__(
        self,
        directory: Path,
        *,
        times: Times = QUICK,
        surprises: frozenset[Surprise] = ALL,
        dice: Dice | None = None,
        root: str = "",
        nodes: Collection[int] = (0,),
        policy: str = NONE,
        cluster: Cluster | None = None,
    ) -> None:
        self.directory, self.times, self.surprises = directory, times, surprises
        self.wire, self.node, self.pods = Wire(), Node(), list[Pod]()
        self.policy = policy
        self.cluster = cluster or Objects()
        self.guests: list[Callable[[], None]] = []
        """What ends what a test has beside it."""
        self._dice, self._nodes = dice or Dice(), nodes
        self._runtime = Runtime(root, surprises)
        self._ended = threading.Event()
        self._ended.set()
        self._threads: list[threading.Thread] = []
        self.beats = 0
        """How often the node's status was reported."""
        self.awaits_plugins = False
        self._entries: list[Entry] = []
        self._prepared: frozenset[str] = frozenset()
        self.plugins, self.registry = directory / "device-plugins", directory / "plugins_registry"
        for name in (self.plugins, self.registry, directory / "pods", directory / "pod-resources"):
            name.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in self.guests:
            end()
        self.stop()

    # Its own life.

    def start(self) -> None:
        """The sockets of all plugins are removed, and nothing is known but what the checkpoint says."""
        self._remove_sockets()
        self._ended = threading.Event()
        self._work: queue.SimpleQueue[Pod | None] = queue.SimpleQueue()
        self._registering = threading.Event()
        self.manager = Manager(
            self.plugins,
            self.wire,
            lambda: tuple(self.pods),
            times=self.times,
            surprises=self.surprises,
            dice=self._dice,
            nodes=self._nodes,
            policy=self.policy,
            remembered=() if Surprise.LOST_CHECKPOINT_FORGETS in self.surprises else self._entries,
        )
        self.manager.changed = self._poke
        self.clients = Clients(self.wire, self.manager, self.times, self.surprises)
        self._start_claims()
        handlers: dict[str, Handler] = {"DevicePlugin": DevicePlugins(self.clients), "DRAPlugin": self.claims.drivers}
        self._watcher = Registry(self.registry, self.wire, handlers, self.times)
        podresources = PodResources(self.manager, lambda: tuple(self.pods), self.surprises, self.claims)
        register = {"/v1beta1.Registration/Register": (api.RegisterRequest, self._register)}
        self._servers = [
            SocketServer(str(self.plugins / "kubelet.sock"), register),
            podresources.serve(str(self.directory / "pod-resources/kubelet.sock")),
        ]
        self.node.report(self.manager.counts())
        self._watcher.start()
        self._threads = list(map(self._thread, (self._beats, self._admissions, self._open, self.sandboxes.reconcile)))
        for pod in [pod for pod in self.pods if pod.terminating]:
            self._remove(pod)

    def _start_claims(self) -> None:
        self.claims = ClaimManager(
            self.directory,
            self.wire,
            self.cluster,
            lambda: tuple(self.pods),
            times=self.times,
            surprises=self.surprises,
            prepared=() if Surprise.PREPARED_TWICE in self.surprises else self._prepared,
        )
        self.claims.drivers.changed = self._poke_claims
        self.sandboxes = Sandboxes(self.claims, self.wire, self._ended, times=self.times, surprises=self.surprises)
        self.claims.start()

    def stop(self) -> None:
        """Every stream ends; the sockets, files and containers stay."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._registering.set()
        self._work.put(None)
        self.clients.close()
        for server in self._servers:
            server.stop()
        self._watcher.stop()
        self.clients.close()
        self.claims.drivers.close()
        for thread in self._threads:
            thread.join(SOON)
        self._entries, self._prepared = self.manager.entries, self.claims.prepared

    def restart(self) -> None:
        """As `systemctl restart` does."""
        self.stop()
        self.start()

    def wait(self, condition: Callable[[], object], what: str = "", timeout: float = PATIENCE) -> None:
        """Until it is so; raises AssertionError, with what was said last."""
        self.wire.wait(condition, timeout, what)

    def allocatable(self, resource: str) -> int:
        """How many healthy devices kubelet knows now; the Node says so at the next beat."""
        known = self.manager.resources.get(resource)
        return len(known.healthy) if known else 0

    def _remove_sockets(self) -> None:
        for path in self.plugins.iterdir():
            every = Surprise.START_REMOVES_SOCKETS in self.surprises
            if path.is_socket() and (every or path.name == "kubelet.sock"):
                path.unlink()
        (self.directory / "pod-resources/kubelet.sock").unlink(missing_ok=True)

    def _thread(self, run: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    # Plugins.

    def _open(self) -> None:
        self._ended.wait(self.times.register_at_start)
        self._registering.set()

    def _register(self, request: api.RegisterRequest, context: grpc.ServicerContext) -> api.Empty:
        self.wire.record("plugin", request.resource_name, "Register", ASKS, request.SerializeToString())
        self._registering.wait()
        try:
            self._accept(request, context.time_remaining())
        except Refused as error:
            self.wire.record("kubelet", request.resource_name, "Register", "error", code="UNKNOWN", details=str(error))
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        self.wire.record("kubelet", request.resource_name, "Register", "response")
        return api.Empty()

    def _accept(self, request: api.RegisterRequest, deadline: float | None) -> None:
        if request.version != VERSION:
            told = f'requested API version "{request.version}" is not supported by kubelet.'
            raise Refused(f'{told} Supported version is ["{VERSION}"]')
        if not is_extended(request.resource_name):
            raise Refused(f'the ResourceName "{request.resource_name}" is invalid')
        # It is joined to the directory, absolute or not.
        socket = os.path.normpath(f"{self.plugins}/{request.endpoint}")
        self.clients.connect(request.resource_name, socket, deadline=deadline, options=request.options)

    def _poke(self, resource: str, device: str) -> None:
        self._report_of({self.manager.pod_of(resource, device)})

    def _poke_claims(self, driver: str, devices: Collection[tuple[str, str]]) -> None:
        self._report_of(self.claims.pods_of(driver, devices))

    def _report_of(self, uids: Collection[str | None]) -> None:
        for pod in tuple(self.pods):
            if pod.uid in uids:
                self._report(pod)

    # The node.

    def beat(self) -> None:
        """Report the node's status now, and let the scheduler look again."""
        self.node.report(self.manager.counts())
        for pod in tuple(self.pods):
            if pod.phase == FAILED and pod.reason == REFUSED and Surprise.REFUSED_IS_DEAD not in self.surprises:
                pod.phase, pod.reason, pod.message = PENDING, "", ""
                self._work.put(pod)
            elif not pod.bound and not pod.ended and self.node.schedule(pod, self.pods):
                self._work.put(pod)
        self.beats += 1
        self.wire.ring()

    def _beats(self) -> None:
        while not self._ended.wait(self.times.beat):
            self.beat()

    # Pods.

    def create(self, pod: Pod, *, bound: bool = False) -> Pod:
        """Let the scheduler have it; with `bound` it names its node itself."""
        self.pods.append(pod)
        pod.bound = bound
        if bound or self.node.schedule(pod, self.pods):
            self._work.put(pod)
        return pod

    def delete(self, pod: Pod, *, lingers: bool = False, force: bool = False) -> None:
        """It is gone, as soon as its claims are undone; while it lingers its containers still run."""
        pod.terminating = True
        if force:
            self.pods.remove(pod)
        elif not lingers:
            self._remove(pod)
        self.wire.ring()

    def _remove(self, pod: Pod) -> None:
        if not self.claims.holds(pod):
            self.pods.remove(pod)
        elif not self._ended.is_set():
            self._threads.append(self._thread(lambda: self.sandboxes.end(pod, lambda: self.pods.remove(pod))))

    def kill_sandbox(self, pod: Pod) -> None:
        """Its containers end with it, and kubelet makes another one."""
        self._end(pod)
        pod.has_sandbox = False
        self._threads.append(self._thread(lambda: self._run(pod, self.times.sandbox)))

    def finish(self, pod: Pod) -> None:
        """Its containers end, well; it never comes back."""
        pod.phase = SUCCEEDED
        for container in pod.containers:
            container.state = State("terminated", "Completed")
        if self.claims.holds(pod):
            self._threads.append(self._thread(lambda: self.sandboxes.end(pod, self.wire.ring)))
        self.wire.ring()

    def crash(self, pod: Pod) -> None:
        """Its containers end, badly; kubelet starts them again in a while, if it runs and the pod wants it."""
        for container in pod.containers:
            container.state = State("terminated", "Error")
        if not pod.restart:
            pod.phase = FAILED
        elif not self._ended.is_set():
            self._threads.append(self._thread(lambda: self._run(pod, self.times.retry)))
        self.wire.ring()

    def _admissions(self) -> None:
        ended = self._ended
        self._wait_for_plugins(ended)
        for pod in [pod for pod in self.pods if pod.bound and not pod.ended]:
            self._admit(pod, ended)
        self.manager.ready = True
        self.wire.ring()
        while (work := self._work.get()) is not None:
            if not work.terminating and not work.admitted:
                self._admit(work, ended)

    def _wait_for_plugins(self, ended: threading.Event) -> None:
        ended.wait(self.times.admission_at_start)
        if Surprise.ADMITS_BEFORE_PLUGINS not in self.surprises:
            known = tuple(self.manager.resources)
            self.awaits_plugins = True
            with self.wire.bell:
                self.wire.bell.wait_for(lambda: ended.is_set() or all(map(self.allocatable, known)), self.times.grace)

    def _admit(self, pod: Pod, ended: threading.Event) -> None:
        try:
            for container in sorted(pod.containers, key=lambda one: not one.init):
                self.manager.allocate(pod, container)
        except Refusal as refusal:
            if ended.is_set():
                # It went down in the middle of it, and no pod is worse for that.
                return
            if isinstance(refusal, Misaligned):
                pod.fail(MISALIGNED, str(refusal))
            else:
                pod.fail(REFUSED, f"Allocate failed due to {refusal}, which is unexpected")
            self._end(pod)
        else:
            self._check_room(pod)
        self.wire.ring()
        if not pod.ended:
            pod.admitted = True
            self._report(pod)
            self._threads.append(self._thread(lambda: self._run(pod, self.times.sandbox)))

    def _check_room(self, pod: Pod) -> None:
        """What the Node never had is no business of kubelet's."""
        others = [one for one in self.pods if one.admitted and one is not pod]
        for resource in pod.resources():
            known = self.manager.is_known(resource) or resource not in self.node.capacity
            if not known and self.node.free(resource, others) < pod.requests(resource):
                used = sum(one.requests(resource) for one in others if not one.ended)
                asked = f"requested: {pod.requests(resource)}, used: {used}"
                there = f"capacity: {self.node.allocatable[resource]}"
                pod.fail(f"OutOf{resource}", f"Node didn't have enough resource: {resource}, {asked}, {there}")
                self._end(pod)

    def _end(self, pod: Pod) -> None:
        for container in pod.containers:
            if container.state.name == "running":
                container.state = State("terminated", "Error")

    def _run(self, pod: Pod, wait: float) -> None:
        with pod.worker:
            if self.sandboxes.make(pod):
                self._start_containers(pod, wait)

    def _start_containers(self, pod: Pod, wait: float) -> None:
        ended = self._ended
        for container in sorted(pod.containers, key=lambda one: not one.init):
            is_up = container.is_up
            while not is_up:
                if ended.wait(wait) or pod.ended or pod.terminating:
                    return
                is_up = self._start(pod, container)
                wait = 0 if is_up else self.times.retry
            if container.init and not container.sidecar:
                container.state = State("terminated", "Completed")
        pod.phase = RUNNING
        self._report(pod)

    def _start(self, pod: Pod, container: Container) -> bool:
        starts = container.starts
        try:
            self._check_health(pod, container)
            self.manager.pre_start(pod, container)
            answers, cdi = self.manager.answers_for(pod, container), self.claims.cdi_ids(pod, container)
            self._runtime.start(container, answers, cdi)
        except Refusal as refusal:
            container.state = State("waiting", CONFIG, str(refusal))
        except Unstartable as error:
            container.state = error.state
        if container.starts == starts:
            pod.events.append(Event("Warning", "Failed", f"Error: {container.state.message}"))
        self._report(pod)
        return container.starts > starts

    def _check_health(self, pod: Pod, container: Container) -> None:
        if Surprise.RESTART_IGNORES_HEALTH in self.surprises or not container.starts:
            return
        for resource in container.limits:
            for device in self.manager.ids_of(pod, container, resource):
                if self.manager.health(resource, device) != HEALTHY or not self.allocatable(resource):
                    raise Refusal(f"device {device} of {resource} is not healthy")

    def _report(self, pod: Pod) -> None:
        """Its status: of every id its health, as far as it is known to be bad."""
        for container in pod.containers:
            container.status = {
                resource: {device: self.manager.health(resource, device) for device in ids}
                for resource in container.limits
                if (ids := self.manager.ids_of(pod, container, resource))
            }
            self.claims.report(pod, container)
        with contextlib.suppress(FileExistsError):
            (self.directory / "pods" / pod.uid).mkdir()
        self.wire.ring()
