"""Kubelet's device manager: what the plugins list, what pods hold, and the file in which both are kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from google.protobuf.message import Message

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from tests.kubelet import checkpoint, topology
from tests.kubelet.checkpoint import Checkpoint, Entry
from tests.kubelet.choice import Candidates, choose
from tests.kubelet.clients import Client
from tests.kubelet.dice import Dice, Sorted
from tests.kubelet.pods import Container, Pod
from tests.kubelet.surprises import Surprise
from tests.kubelet.times import Times
from tests.kubelet.wire import Failed, Wire

HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"
NO_NUMA = -1
Answer = TypeVar("Answer", bound=Message)


class Refusal(Exception):
    """A pod is refused, or a container not started."""


class Misaligned(Refusal):
    """The topology manager's."""


class Count(NamedTuple):
    """Of one resource, in the node's status."""

    capacity: int
    allocatable: int


@dataclass
class Resource:
    """One that kubelet knows."""

    healthy: dict[str, None] = field(default_factory=dict)
    unhealthy: dict[str, None] = field(default_factory=dict)
    listed: Mapping[str, api.Device] = field(default_factory=dict)
    """As the last list had them; none before the first."""
    client: Client | None = None
    stopped: float | None = None


class Manager:
    """Not told when a pod ends: it looks at which are there when it next gives something away."""

    def __init__(
        self,
        directory: Path,
        wire: Wire,
        pods: Callable[[], Collection[Pod]],
        *,
        times: Times,
        surprises: frozenset[Surprise],
        dice: Dice,
        nodes: Collection[int],
        policy: str,
        remembered: Iterable[Entry] = (),
    ) -> None:
        self._directory, self._wire, self._pods = directory, wire, pods
        self.times, self._surprises, self._nodes, self._policy = times, surprises, nodes, policy
        self._dice = dice if Surprise.PREFERENCE_IS_ALWAYS_ASKED in surprises else Sorted()
        self.lock = threading.RLock()
        self.resources: dict[str, Resource] = {}
        self.entries: list[Entry] = []
        self._taken: frozenset[tuple[str, str]] = frozenset()
        """Resource and id, of what is not free; more than the entries say where a plugin answered nothing."""
        self.changed: Callable[[str, str], object] = lambda *_: None
        """Told of a device whose health is another than before."""
        self.ready = False
        """Whether the pods of the node have been looked at since the start."""
        self._restore(remembered)

    # What the plugins tell.

    def connected(self, client: Client) -> None:
        with self.lock:
            known = self.resources.get(client.resource)
            if known is None:
                # Without a list there is no resource yet; it is known to have a plugin.
                known = self._awaited.setdefault(client.resource, Resource())
            known.client, known.stopped = client, None

    def listed(self, resource: str, devices: Sequence[api.Device]) -> None:
        with self.lock:
            known = self.resources.get(resource)
            if known is None:
                known = self.resources[resource] = self._awaited.pop(resource, Resource())
            before = known.listed
            known.listed = {device.ID: device for device in devices}
            known.healthy = dict.fromkeys(device.ID for device in devices if self._is_healthy(device))
            known.unhealthy = dict.fromkeys(device.ID for device in devices if not self._is_healthy(device))
            changed = [one.ID for one in devices if one.ID not in before or before[one.ID].health != one.health]
            self.write()
        for device in changed:
            self.changed(resource, device)
        self._wire.ring()

    def disconnected(self, resource: str) -> None:
        with self.lock:
            if known := self.resources.get(resource):
                known.unhealthy |= known.healthy
                known.healthy = {}
                known.stopped = time.monotonic()
        self._wire.ring()

    def _is_healthy(self, device: api.Device) -> bool:
        exact = Surprise.HEALTH_TO_THE_LETTER in self._surprises
        return device.health == HEALTHY or (not exact and device.health.lower() == HEALTHY.lower())

    # What the node's status and PodResources tell.

    def counts(self) -> Mapping[str, Count]:
        """Of each resource; those of plugins that are long gone are forgotten here, and counted 0 once."""
        with self.lock:
            gone = [name for name, one in self.resources.items() if self._is_over(one)]
            for name in gone:
                del self.resources[name]
            if gone:
                self.write()
            there = {
                name: Count(len(one.healthy) + len(one.unhealthy), len(one.healthy))
                for name, one in self.resources.items()
            }
            return {**dict.fromkeys(gone, Count(0, 0)), **there}

    def _is_over(self, resource: Resource) -> bool:
        return resource.stopped is not None and time.monotonic() - resource.stopped > self.times.grace

    def health(self, resource: str, device: str) -> str:
        """As allocatedResourcesStatus has it: of what is not listed nothing bad is known."""
        with self.lock:
            known = self.resources.get(resource)
            if known is None or not known.listed:
                return HEALTHY
            if device not in known.listed:
                return HEALTHY if Surprise.VANISHED_IS_HEALTHY in self._surprises else UNHEALTHY
            return HEALTHY if self._is_healthy(known.listed[device]) else UNHEALTHY

    def pod_of(self, resource: str, device: str) -> str | None:
        """The pod that is poked when a device's health changes; with one id in two resources, the wrong one."""
        by_id = Surprise.PUSH_BY_ID_ALONE in self._surprises
        with self.lock:
            found = (one.uid for one in self.entries if device in one.ids and (by_id or one.resource == resource))
            return next(found, None)

    def forget_ended(self) -> None:
        """Free what pods hold that have ended; the file keeps them until the next allocation."""
        with self.lock:
            there = {pod.uid for pod in self._pods() if not pod.ended}
            before, self.entries = self.entries, [entry for entry in self.entries if entry.uid in there]
            if len(before) != len(self.entries):
                self._recount()

    def _recount(self) -> None:
        self._taken = frozenset((entry.resource, device) for entry in self.entries for device in entry.ids)

    # What pods get.

    def allocate(self, pod: Pod, container: Container) -> None:
        """All resources of a container, one call each; raises Refusal, and keeps nothing of what was refused."""
        self.forget_ended()
        before = list(self.entries)
        try:
            for resource, hint in self._aligned(pod, container):
                self._allocate(pod, container, resource, hint)
        except Refusal:
            with self.lock:
                self.entries = before
            raise
        finally:
            self.write()

    def _aligned(self, pod: Pod, container: Container) -> Iterable[tuple[str, topology.Hint]]:
        limits = [name for name, number in container.limits.items() if number and not pod.is_claimed(name)]
        wanted = [name for name in limits if self.is_known(name)]
        anywhere = topology.Hint(None, True)
        if self._policy != topology.NONE:
            demands = [self._demand(pod, container, name) for name in wanted]
            anywhere = topology.affinity(demands, self._nodes, self._policy)
            if self._policy == topology.SINGLE and not anywhere.preferred:
                raise Misaligned("Resources cannot be allocated with Topology locality")
        return [(name, anywhere) for name in self._dice.resources(wanted)]

    def _demand(self, pod: Pod, container: Container, resource: str) -> topology.Demand:
        known = self.resources.get(resource, Resource())
        free = frozenset(known.healthy) - self._held(resource) | self._reusable(pod, container, resource)
        return topology.Demand(container.limits[resource], _topology(known), known.healthy, free)

    def is_known(self, resource: str) -> bool:
        """Whether it is kubelet's business; of what it never heard of a pod gets nothing, without a word."""
        with self.lock:
            return resource in self.resources or any(entry.resource == resource for entry in self.entries)

    def _allocate(self, pod: Pod, container: Container, resource: str, hint: topology.Hint) -> None:
        wanted = self._wanted(pod, container, resource, hint)
        if wanted is None:
            return
        known = self.resources[resource]
        ids = choose(wanted, lambda ids, must, number: self._preferred(known, resource, ids, must, number), self._dice)
        request = api.AllocateRequest()
        request.container_requests.add(devices_ids=self._dice.order("Allocate", resource, ids))
        with self.lock:
            self._taken |= frozenset((resource, device) for device in ids)
        try:
            answer = self._call(known, "Allocate", request, api.AllocateResponse)
        except Refusal:
            self._recount()
            raise
        if not answer.container_responses:
            # What was chosen is not given back: it is free again when a pod with devices has ended.
            raise Refusal("no containers return in allocation response ")
        frozen = answer.container_responses[0].SerializeToString(deterministic=True)
        with self.lock:
            self.entries.append(Entry(pod.uid, container.name, resource, _by_node(known, ids), frozen))

    def _wanted(self, pod: Pod, container: Container, resource: str, hint: topology.Hint) -> Candidates | None:
        with self.lock:
            held = self.ids_of(pod, container, resource)
            if not self.ready and container.state.name == "running":
                return None
            known = self.resources.get(resource)
            if known is None:
                raise Refusal(f"cannot allocate unregistered device {resource}")
            if not known.healthy:
                raise Refusal(f"no healthy devices present; cannot allocate unhealthy devices {resource}")
            if not held <= known.healthy.keys():
                unhealthy = f"cannot allocate unhealthy devices {resource}"
                raise Refusal(f"previously allocated devices are no longer healthy; {unhealthy}")
            needed = container.limits[resource]
            if held:
                return None
            reusable = self._reusable(pod, container, resource)
            available = frozenset(known.healthy) - self._held(resource)
            if (short := max(0, needed - len(reusable))) > len(available):
                found = f"Requested: {short}, Available: {len(available)}"
                raise Refusal(f"requested number of devices unavailable for {resource}. {found}")
            return Candidates(resource, needed, reusable, available, _topology(known), hint)

    def _preferred(
        self, known: Resource, resource: str, ids: Collection[str], must: Collection[str], number: int
    ) -> Collection[str]:
        options = known.client and known.client.options
        always = Surprise.PREFERENCE_IS_ALWAYS_ASKED in self._surprises
        if not options or not options.get_preferred_allocation_available or (len(ids) == number and not always):
            return ()
        name = "GetPreferredAllocation"
        request = api.PreferredAllocationRequest()
        request.container_requests.add(
            available_deviceIDs=self._dice.order(name, resource, ids),
            must_include_deviceIDs=self._dice.order("must", resource, must),
            allocation_size=number,
        )
        try:
            answer = self._call(known, name, request, api.PreferredAllocationResponse)
        except Refusal as error:
            raise Refusal(f"device plugin {name} rpc failed with err: {error}") from None
        return answer.container_responses[0].deviceIDs if answer.container_responses else ()

    def _call(self, known: Resource, name: str, request: Message, answer: type[Answer]) -> Answer:
        deadline = None if Surprise.ALLOCATE_HAS_NO_DEADLINE in self._surprises else self.times.deadline
        assert known.client
        try:
            return known.client.peer.call(name, request, answer, deadline)
        except Failed as error:
            raise Refusal(str(error)) from None

    def pre_start(self, pod: Pod, container: Container) -> None:
        """Before each start of a container; raises Refusal."""
        for resource in container.limits:
            ids = self.ids_of(pod, container, resource)
            known = self.resources.get(resource)
            if known is None and ids:
                raise Refusal(f"endpoint not found in cache for a registered resource: {resource}")
            if not known or not ids or not known.client or not known.client.options.pre_start_required:
                continue
            request = api.PreStartContainerRequest()
            request.devices_ids.extend(self._dice.order("PreStartContainer", resource, ids))
            call = known.client.peer.call
            try:
                call("PreStartContainer", request, api.PreStartContainerResponse, self.times.pre_start)
            except Failed as error:
                raise Refusal(f"device plugin PreStartContainer rpc failed with err: {error}") from None

    def ids_of(self, pod: Pod, container: Container, resource: str) -> frozenset[str]:
        """What a container has."""
        return frozenset[str]().union(*(one.ids for one in self._of(pod, container) if one.resource == resource))

    def places_of(self, pod: Pod, container: Container, resource: str) -> Iterable[tuple[int, str]]:
        """What it has, each with the NUMA node that it was recorded with."""
        entries = [one for one in self._of(pod, container) if one.resource == resource]
        return [(node, device) for entry in entries for node, ids in entry.nodes.items() for device in ids]

    def nodes_of(self, resource: str, device: str) -> Sequence[int]:
        """The NUMA nodes of a device that is listed."""
        with self.lock:
            return _topology(self.resources.get(resource, Resource())).get(device, ())

    def answers_for(self, pod: Pod, container: Container) -> Sequence[api.ContainerAllocateResponse]:
        """What the plugins answered when it was admitted, in an order that nothing promises."""
        given = {entry.resource: entry.answer for entry in self._of(pod, container)}
        return [api.ContainerAllocateResponse.FromString(given[name]) for name in self._dice.resources(given)]

    def _of(self, pod: Pod, container: Container) -> Sequence[Entry]:
        with self.lock:
            return [one for one in self.entries if (one.uid, one.container) == (pod.uid, container.name)]

    def _held(self, resource: str) -> frozenset[str]:
        return frozenset(device for name, device in self._taken if name == resource)

    def _reusable(self, pod: Pod, container: Container, resource: str) -> frozenset[str]:
        """What this pod's init containers have that will have ended."""
        if container.sidecar:
            return frozenset()
        before = [one for one in pod.containers if one.init and not one.sidecar and one is not container]
        others = [one for one in pod.containers if not one.init or one.sidecar]
        taken = frozenset[str]().union(*(self.ids_of(pod, one, resource) for one in others))
        return frozenset[str]().union(*(self.ids_of(pod, one, resource) for one in before)) - taken

    # The file.

    def write(self) -> None:
        """At each list and each allocation, whether anything is different or not."""
        with self.lock:
            registered = {name: tuple(one.healthy) for name, one in self.resources.items()}
            checkpoint.write(self._directory, Checkpoint(tuple(self.entries), registered))

    def _restore(self, remembered: Iterable[Entry]) -> None:
        self._awaited: dict[str, Resource] = {}
        try:
            found = checkpoint.read(self._directory)
        except checkpoint.Corrupt:
            found = Checkpoint(tuple(remembered))
        self.entries = list(found.entries)
        # Their plugins have the same time to come back as one that has just gone.
        now = time.monotonic()
        self.resources = {name: Resource(stopped=now) for name in found.registered}
        self._recount()


def _topology(known: Resource) -> topology.Topology:
    return {
        name: tuple(node.ID for node in device.topology.nodes)
        for name, device in known.listed.items()
        if device.HasField("topology")
    }


def _by_node(known: Resource, ids: Iterable[str]) -> Mapping[int, tuple[str, ...]]:
    places = _topology(known)
    nodes: dict[int, tuple[str, ...]] = {}
    for device in sorted(ids):
        for node in places.get(device) or (NO_NUMA,):
            nodes[node] = (*nodes.get(node, ()), device)
    return nodes
