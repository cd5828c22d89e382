"""Kubelet's PodResources API, and whether it names the same devices as the checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from domxml.errors import BadInput, HostUnreadable
from domxml.finding import Evidence, Finding
from domxml.text import listed, printable
from hostdev.findings.holders import KUBELET_DISAGREES
from hostdev.kubelet.checkpoint import FILE, Grant
from hostdev.socketpath import LONGEST, target


def disagreements(grants: Sequence[Grant], pods: Sequence[PodDevices]) -> tuple[Finding, ...]:
    """A finding for each container and resource of which only one of the two knows."""
    granted = {(grant.resource, device) for grant in grants for device in grant.device_ids}
    served = {(entry.resource, device) for entry in pods for device in entry.device_ids}
    found = []
    for grant in grants:
        if missing := _missing(grant.resource, grant.device_ids, served):
            text = f"the checkpoint gives {missing} of {printable(grant.resource)}, PodResources does not"
            evidence = (Evidence(FILE, f"PodUID {grant.pod_uid}"),)
            found.append(KUBELET_DISAGREES.found(f"pod {grant.pod_uid}", text, evidence=evidence))
    for entry in pods:
        if missing := _missing(entry.resource, entry.device_ids, granted):
            text = f"PodResources gives {missing} of {printable(entry.resource)}, the checkpoint does not"
            subject = f"pod {printable(entry.namespace)}/{printable(entry.pod)}"
            found.append(KUBELET_DISAGREES.found(subject, text, evidence=(Evidence(LIST, subject),)))
    return tuple(sorted(found))


def _missing(resource: str, devices: Iterable[str], other: set[tuple[str, str]]) -> str:
    return listed(printable(device) for device in devices if (resource, device) not in other)


SOCKET = "pod-resources/kubelet.sock"
"""Below kubelet's directory."""
LIST = "/v1.PodResourcesLister/List"
PATIENCE = 2.0
LARGEST = 64 << 20
"""Bytes of an answer; gRPC's own limit of 4 MiB is too little for a large node."""

_HINT = "mount kubelet's pod-resources directory; its socket is root's"


class PodDevices(NamedTuple):
    """The devices of one resource in one container."""

    namespace: str
    pod: str
    container: str
    resource: str
    device_ids: tuple[str, ...]
    numa: tuple[int, ...] = ()
    """The host's NUMA nodes that they are on."""


def list_podresources(socket: str) -> tuple[PodDevices, ...]:
    """List what every container has. Kubelet before 1.34 lists pods that have ended, too."""
    if not os.path.exists(socket):  # noqa: PTH110
        raise _unreachable(socket, "there is no such socket")
    try:
        import grpc  # noqa: PLC0415  the command line goes without
        from google.protobuf.message import DecodeError  # noqa: PLC0415

        from hostdev.kubelet.stubs.podresources_v1_pb2 import ListPodResourcesResponse  # noqa: PLC0415
    except ImportError as error:
        hint = "pip install 'passgate[agent]'"
        raise BadInput("module-missing", f"PodResources needs grpcio: {error}", hint=hint) from None
    if len(socket.encode()) > LONGEST:
        raise BadInput("path-too-long", f"a unix socket has room for {LONGEST} bytes", subject=socket, hint=_HINT)
    options = (("grpc.max_receive_message_length", LARGEST), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(target(socket), options=options) as channel:
        try:
            answer: bytes = channel.unary_unary(LIST, bytes, bytes)(b"", timeout=PATIENCE)
            pods = ListPodResourcesResponse.FromString(answer).pod_resources
        except grpc.RpcError as error:
            reason = error.code().name if isinstance(error, grpc.Call) else "no status"
            raise _unreachable(socket, f"does not answer: {reason}") from None
        except DecodeError:
            raise _unreachable(socket, "its answer cannot be read") from None
    return tuple(
        PodDevices(
            pod.namespace,
            pod.name,
            container.name,
            devices.resource_name,
            tuple(devices.device_ids),
            tuple(node.ID for node in devices.topology.nodes),
        )
        for pod in pods
        for container in pod.containers
        for devices in container.devices
    )


def _unreachable(socket: str, message: str) -> HostUnreadable:
    return HostUnreadable("podresources-unreachable", message, subject=socket, hint=_HINT)
