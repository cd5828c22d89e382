"""Kubelet's PodResources API: which containers have which devices, and whether the checkpoint names the same ones.

The two differ all the time, and nothing is wrong: they are not read at the same moment, and kubelet keeps what a pod
was given in its checkpoint when the pod has ended, until it gives something away the next time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from domxml.errors import BadInput, HostUnreadable
from domxml.finding import Evidence, Finding
from domxml.text import listed, printable
from hostdev.findings.holders import DRA_SERVES_RESOURCE, KUBELET_DISAGREES
from hostdev.kubelet.checkpoint import FILE, Grant
from hostdev.kubelet.resourcename import DRIVER
from hostdev.socketpath import LONGEST, target

if TYPE_CHECKING:
    from hostdev.kubelet.stubs.podresources_v1_pb2 import DynamicResource, ListPodResourcesResponse

T = TypeVar("T")

SOCKET = "pod-resources/kubelet.sock"
"""Below kubelet's directory."""
LIST = "/v1.PodResourcesLister/List"
ALLOCATABLE = "/v1.PodResourcesLister/GetAllocatableResources"
PATIENCE = 2.0
LARGEST = 64 << 20
"""Bytes of an answer; gRPC's own limit of 4 MiB is too little for a large node."""

CONTAINER = "compute"
"""QEMU's; what init containers have is not listed."""
_SUFFIX, _TELLING = "-extended-resources-", "-extended-r"
_NAME_LIMIT, _RANDOM = 58, 5
"""The API server cuts what it makes a name of, and adds so many letters."""

_MOUNT = "mount kubelet's pod-resources directory; its socket is root's"
_KUBELET = "see whether kubelet runs: it makes the socket when it starts"
_HINTS = {
    "UNAVAILABLE": _KUBELET,
    "RESOURCE_EXHAUSTED": "find out who else asks: kubelet answers 100 calls a second, and 10 at once",
    "UNIMPLEMENTED": "this kubelet is older than the API's v1, of Kubernetes 1.20",
}
_MEANINGS = {
    "UNAVAILABLE": "nothing answers at its socket",
    "DEADLINE_EXCEEDED": f"did not answer within {PATIENCE:g} seconds",
}


class PodDevices(NamedTuple):
    """The devices of one resource in one container."""

    namespace: str
    pod: str
    container: str
    resource: str
    device_ids: tuple[str, ...]
    numa: tuple[int, ...] = ()
    """The host's NUMA nodes that they are on."""


class PodClaim(NamedTuple):
    """The devices of one resource claim (DRA) in one container."""

    namespace: str
    pod: str
    container: str
    claim: str
    devices: tuple[str, ...]
    """Each as DRIVER/POOL/DEVICE."""


class Listing(NamedTuple):
    """What the containers of a node have."""

    devices: tuple[PodDevices, ...] = ()
    claims: tuple[PodClaim, ...] = ()


def list_podresources(socket: str) -> Listing:
    """List what every container has. Kubelet before 1.34 lists pods that have ended, too."""
    return _ask(socket, LIST, _read_listing)


def list_allocatable(socket: str) -> Mapping[str, frozenset[str]]:
    """List the healthy devices that plugins have told kubelet of, by resource; given away or not."""
    return _ask(socket, ALLOCATABLE, _read_allocatable)


def _ask(socket: str, method: str, read: Callable[[bytes], T]) -> T:
    if not os.path.exists(socket):  # noqa: PTH110
        mounted = os.path.isdir(os.path.dirname(socket))  # noqa: PTH112, PTH120
        raise _unreachable(socket, "there is no such socket", _KUBELET if mounted else _MOUNT)
    try:
        import grpc  # noqa: PLC0415  the command line goes without
        from google.protobuf.message import DecodeError  # noqa: PLC0415
    except ImportError as error:
        hint = "pip install 'passgate[agent]'"
        raise BadInput("module-missing", f"PodResources needs grpcio: {error}", hint=hint) from None
    if len(socket.encode()) > LONGEST:
        raise BadInput("path-too-long", f"a unix socket has room for {LONGEST} bytes", subject=socket, hint=_MOUNT)
    options = (("grpc.max_receive_message_length", LARGEST), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(target(socket), options=options) as channel:
        try:
            return read(channel.unary_unary(method, bytes, bytes)(b"", timeout=PATIENCE))
        except grpc.RpcError as error:
            reason = error.code().name if isinstance(error, grpc.Call) else "no status"
            hint = _HINTS.get(reason, _KUBELET) if os.access(socket, os.W_OK) else _MOUNT
            raise _unreachable(socket, _MEANINGS.get(reason, f"does not answer: {reason}"), hint) from None
        except DecodeError:
            raise _unreachable(socket, "its answer cannot be read", _MOUNT) from None


def _read_listing(answer: bytes) -> Listing:
    from hostdev.kubelet.stubs.podresources_v1_pb2 import ListPodResourcesResponse  # noqa: PLC0415

    return listing(ListPodResourcesResponse.FromString(answer))


def _read_allocatable(answer: bytes) -> Mapping[str, frozenset[str]]:
    """Kubelet lists each device by itself."""
    from hostdev.kubelet.stubs.podresources_v1_pb2 import AllocatableResourcesResponse  # noqa: PLC0415

    found: dict[str, set[str]] = {}
    for devices in AllocatableResourcesResponse.FromString(answer).devices:
        found.setdefault(devices.resource_name, set()).update(devices.device_ids)
    return {resource: frozenset(ids) for resource, ids in found.items()}


def listing(answer: ListPodResourcesResponse) -> Listing:
    """What is read of kubelet's answer."""
    containers = [(pod, container) for pod in answer.pod_resources for container in pod.containers]
    return Listing(
        tuple(
            PodDevices(
                pod.namespace,
                pod.name,
                container.name,
                devices.resource_name,
                tuple(devices.device_ids),
                tuple(node.ID for node in devices.topology.nodes),
            )
            for pod, container in containers
            for devices in container.devices
        ),
        tuple(
            PodClaim(pod.namespace, pod.name, container.name, claim.claim_name, _devices_of(claim))
            for pod, container in containers
            for claim in container.dynamic_resources
        ),
    )


def served_by_claims(claims: Iterable[PodClaim]) -> tuple[Finding, ...]:
    """A finding for each claim that the scheduler made, or may have made, of the limits of a VM's container."""
    return tuple(_finding(claim) for claim in claims if claim.container == CONTAINER and may_be_of_limits(claim))


def may_be_of_limits(claim: PodClaim) -> bool:
    """Whether the scheduler may have made it; the claims of a template begin with the pod's name, too."""
    return claim.claim[:-_RANDOM] == _base(claim)


def _base(claim: PodClaim) -> str:
    return f"{claim.pod}{_SUFFIX}"[:_NAME_LIMIT]


def _finding(claim: PodClaim) -> Finding:
    subject = f"pod {printable(claim.namespace)}/{printable(claim.pod)}"
    devices = listed(printable(device) for device in claim.devices) or "no device"
    # Of a pod with a long name too little is left in the claim's.
    serves = "serves" if _base(claim).startswith(f"{claim.pod}{_TELLING}") else "may serve"
    text = f"claim {printable(claim.claim)} {serves} what stands in its limits: {devices}"
    ours = any(device.startswith(f"{DRIVER}/") for device in claim.devices)
    hint = f"{DRIVER} is Passgate's own: see whether the agent is that of the overlay claims, which reads its records"
    evidence = (Evidence(LIST, f"{subject} dynamic_resources"),)
    return DRA_SERVES_RESOURCE.found(subject, text, hint=hint if ours else None, evidence=evidence)


def _devices_of(claim: DynamicResource) -> tuple[str, ...]:
    """A claim that two pods share is listed with its devices twice."""
    found = (f"{one.driver_name}/{one.pool_name}/{one.device_name}" for one in claim.claim_resources)
    return tuple(dict.fromkeys(found))


def _unreachable(socket: str, message: str, hint: str) -> HostUnreadable:
    return HostUnreadable("podresources-unreachable", message, subject=socket, hint=hint)


CONFIRM = 1.0
"""Seconds that something must be so, at every look, to be told."""
_Key: TypeAlias = tuple[str, str]
"""Of a pod's grant: its UID, and the resource."""


class Confirmation:
    """Findings that last: what comes and goes within a moment is none."""

    def __init__(self) -> None:
        self._since: Mapping[Finding, float] = {}

    def confirmed(self, found: Iterable[Finding], now: float) -> tuple[Finding, ...]:
        """Those that have been found at every look for long enough."""
        self._since = {finding: self._since.get(finding, now) for finding in found}
        return tuple(sorted(finding for finding, since in self._since.items() if now - since >= CONFIRM))

    def waits(self, now: float) -> bool:
        """Whether there is one that may become old enough."""
        return any(now - since < CONFIRM for since in self._since.values())


class Agreement:
    """The two sources, compared look after look."""

    def __init__(self) -> None:
        self._unlisted: Mapping[_Key, float] = {}
        self._ended: Mapping[_Key, frozenset[_Key]] = {}

    def forget(self) -> None:
        """One of the two could not be asked: what was seen before proves nothing."""
        self._unlisted, self._ended = {}, {}

    def disagreements(self, grants: Sequence[Grant], pods: Sequence[PodDevices], now: float) -> tuple[Finding, ...]:
        """What differs, and is no sign of a pod that has ended."""
        return (*unrecorded_devices(grants, pods), *self._kept(grants, pods, now))

    def _kept(self, grants: Sequence[Grant], pods: Sequence[PodDevices], now: float) -> list[Finding]:
        """Grants of pods that have ended which kubelet did not take out, though it has given something away since."""
        served = {(entry.resource, device) for entry in pods for device in entry.device_ids}
        there = {_key(grant): grant for grant in grants if grant.container == CONTAINER}
        unlisted = {key for key, grant in there.items() if _missing(grant.resource, grant.device_ids, served)}
        self._unlisted = {key: self._unlisted.get(key, now) for key in unlisted}
        ended = {key for key, since in self._unlisted.items() if now - since >= CONFIRM}
        self._ended = {key: self._ended.get(key, frozenset(there)) for key in ended}
        late = [there[key] for key, before in self._ended.items() if there.keys() - before]
        return [_unlisted(grant, _missing(grant.resource, grant.device_ids, served)) for grant in late]


def unrecorded_devices(grants: Sequence[Grant], pods: Sequence[PodDevices]) -> list[Finding]:
    """A finding for each container and resource of which PodResources alone has devices."""
    granted = {(grant.resource, device) for grant in grants for device in grant.device_ids}
    # Kubelet lists each device by itself.
    devices: dict[tuple[str, str, str, str], list[str]] = {}
    for entry in pods:
        whose = (entry.namespace, entry.pod, entry.container, entry.resource)
        devices.setdefault(whose, []).extend(entry.device_ids)
    found = []
    for (namespace, pod, container, resource), ids in devices.items():
        if missing := _missing(resource, ids, granted):
            text = f"PodResources gives {missing} of {printable(resource)}, the checkpoint does not"
            subject = f"pod {printable(namespace)}/{printable(pod)}"
            evidence = (Evidence(LIST, f"{subject} {printable(container)}"),)
            found.append(KUBELET_DISAGREES.found(subject, text, evidence=evidence))
    return found


def _unlisted(grant: Grant, missing: str) -> Finding:
    text = (
        f"the checkpoint gives {missing} of {printable(grant.resource)}, PodResources does not, "
        "and kubelet has given other devices away since"
    )
    evidence = (Evidence(FILE, f"PodUID {grant.pod_uid}"),)
    return KUBELET_DISAGREES.found(f"pod {grant.pod_uid}", text, evidence=evidence)


def _key(grant: Grant) -> _Key:
    return grant.pod_uid, grant.resource


def _missing(resource: str, devices: Iterable[str], other: set[tuple[str, str]]) -> str:
    return listed(printable(device) for device in devices if (resource, device) not in other)
