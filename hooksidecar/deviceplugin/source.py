"""What a device plugin answers from, and its answers as kubelet reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from hooksidecar.broadcast import take_fitting
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as wire
from hostdev.offer.grant import PERMISSIONS

HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"
"""Kubelet takes anything but the first, to the letter, for unhealthy."""


class Listed(NamedTuple):
    """One device of the list."""

    id: str
    healthy: bool
    numa_node: int | None = None


class Granted(NamedTuple):
    """What a container gets for devices: variables, and device nodes at the same paths as on the host."""

    variables: Mapping[str, str]
    nodes: tuple[str, ...]


class Source(Protocol):
    """Answers from memory: kubelet waits without a deadline, and starts no other pod meanwhile."""

    def listed(self, resource: str) -> Sequence[Listed]:
        """All devices of a resource; those that pods hold for as long as they do."""

    def allocate(self, resource: str, ids: Sequence[str]) -> Granted:
        """Give these away. What is raised here ends the pod for good."""

    def prefer(self, resource: str, available: Sequence[str], must_include: Sequence[str], size: int) -> Sequence[str]:
        """Choose so many."""

    def check(self, resource: str, ids: Sequence[str]) -> None:
        """Raise where a container cannot be started with these now. Kubelet asks again, until it can."""


def list_message(devices: Iterable[Listed]) -> tuple[bytes, int]:
    """Encode a list, and count what there was no room for: unhealthy ones come last."""
    ordered = sorted(devices, key=lambda one: not one.healthy)
    taken = take_fitting(map(_device, ordered))
    return wire.ListAndWatchResponse(devices=taken).SerializeToString(), len(ordered) - len(taken)


def _device(device: Listed) -> wire.Device:
    entry = wire.Device(ID=device.id, health=HEALTHY if device.healthy else UNHEALTHY)
    if device.numa_node is not None:
        # Node 0 is an empty submessage, and there all the same.
        entry.topology.nodes.add(ID=device.numa_node)
    return entry


def container_message(granted: Granted) -> wire.ContainerAllocateResponse:
    """Encode what one container gets."""
    nodes = [wire.DeviceSpec(container_path=node, host_path=node, permissions=PERMISSIONS) for node in granted.nodes]
    return wire.ContainerAllocateResponse(envs=granted.variables, devices=nodes)
