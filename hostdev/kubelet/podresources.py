"""Kubelet's PodResources API: which containers have which devices, by the names of their pods."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from domxml.errors import BadInput, HostUnreadable
from domxml.finding import Evidence, Finding
from domxml.text import listed, printable
from hostdev.findings.holders import DRA_SERVES_RESOURCE
from hostdev.socketpath import LONGEST, target

if TYPE_CHECKING:
    from hostdev.kubelet.stubs.podresources_v1_pb2 import DynamicResource, ListPodResourcesResponse

SOCKET = "pod-resources/kubelet.sock"
"""Below kubelet's directory."""
LIST = "/v1.PodResourcesLister/List"
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
    if not os.path.exists(socket):  # noqa: PTH110
        mounted = os.path.isdir(os.path.dirname(socket))  # noqa: PTH112, PTH120
        raise _unreachable(socket, "there is no such socket", _KUBELET if mounted else _MOUNT)
    try:
        import grpc  # noqa: PLC0415  the command line goes without
        from google.protobuf.message import DecodeError  # noqa: PLC0415

        from hostdev.kubelet.stubs.podresources_v1_pb2 import ListPodResourcesResponse  # noqa: PLC0415
    except ImportError as error:
        hint = "pip install 'passgate[agent]'"
        raise BadInput("module-missing", f"PodResources needs grpcio: {error}", hint=hint) from None
    if len(socket.encode()) > LONGEST:
        raise BadInput("path-too-long", f"a unix socket has room for {LONGEST} bytes", subject=socket, hint=_MOUNT)
    options = (("grpc.max_receive_message_length", LARGEST), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(target(socket), options=options) as channel:
        try:
            answer: bytes = channel.unary_unary(LIST, bytes, bytes)(b"", timeout=PATIENCE)
            return listing(ListPodResourcesResponse.FromString(answer))
        except grpc.RpcError as error:
            reason = error.code().name if isinstance(error, grpc.Call) else "no status"
            hint = _HINTS.get(reason, _KUBELET) if os.access(socket, os.W_OK) else _MOUNT
            raise _unreachable(socket, f"does not answer: {reason}", hint) from None
        except DecodeError:
            raise _unreachable(socket, "its answer cannot be read", _MOUNT) from None


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
    return DRA_SERVES_RESOURCE.found(subject, text, evidence=(Evidence(LIST, f"{subject} dynamic_resources"),))


def _devices_of(claim: DynamicResource) -> tuple[str, ...]:
    """A claim that two pods share is listed with its devices twice."""
    found = (f"{one.driver_name}/{one.pool_name}/{one.device_name}" for one in claim.claim_resources)
    return tuple(dict.fromkeys(found))


def _unreachable(socket: str, message: str, hint: str) -> HostUnreadable:
    return HostUnreadable("podresources-unreachable", message, subject=socket, hint=hint)
