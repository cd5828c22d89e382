"""Kubelet's PodResources API."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import grpc
from google.protobuf.message import Message

from hostdev.kubelet.podresources import SOCKET
from hostdev.kubelet.stubs import podresources_v1_pb2 as api
from hostdev.socketpath import target
from tests.kubelet.dra import ClaimManager
from tests.kubelet.manager import NO_NUMA, Manager
from tests.kubelet.pods import Container, Pod
from tests.kubelet.surprises import Surprise
from tests.kubelet.wire import Call, SocketServer, written

SERVICE = "/v1.PodResourcesLister"
RATE, BURST = 100.0, 10.0


def ask_podresources(kubelet_dir: Path, call: str, request: Message) -> bytes:
    """Kubelet's answer, as it comes."""
    with grpc.insecure_channel(target(str(kubelet_dir / SOCKET))) as channel:
        answer: bytes = channel.unary_unary(f"{SERVICE}/{call}", written, bytes)(request)
    return answer


class Bucket:
    """So many calls a second, and so many at once."""

    def __init__(self) -> None:
        self._tokens, self._at = BURST, time.monotonic()

    def take(self) -> bool:
        """Whether there was one."""
        now = time.monotonic()
        self._tokens, self._at = min(BURST, self._tokens + (now - self._at) * RATE), now
        enough = self._tokens >= 1
        self._tokens -= enough
        return enough


class PodResources:
    """Its three calls, over what the device manager knows."""

    def __init__(
        self,
        manager: Manager,
        pods: Callable[[], Collection[Pod]],
        surprises: frozenset[Surprise],
        claims: ClaimManager,
    ) -> None:
        self._manager, self._pods, self._claims = manager, pods, claims
        self._changes = Surprise.LIST_CHANGES_KUBELET in surprises
        self._bucket = Bucket()

    def serve(self, path: str) -> SocketServer:
        """On kubelet's socket."""
        calls: dict[str, Call] = {
            "List": (api.ListPodResourcesRequest, self._list),
            "Get": (api.GetPodResourcesRequest, self._get),
            "GetAllocatableResources": (api.AllocatableResourcesRequest, self._allocatable),
        }
        return SocketServer(path, {f"{SERVICE}/{name}": call for name, call in calls.items()})

    def _list(self, _: api.ListPodResourcesRequest, context: grpc.ServicerContext) -> api.ListPodResourcesResponse:
        self._limit(context)
        if self._changes:
            self._manager.forget_ended()
        return api.ListPodResourcesResponse(pod_resources=[self._of(pod) for pod in self._pods() if not pod.ended])

    def _get(self, request: api.GetPodResourcesRequest, context: grpc.ServicerContext) -> api.GetPodResourcesResponse:
        self._limit(context)
        name, namespace = request.pod_name, request.pod_namespace
        found = [pod for pod in self._pods() if (pod.name, pod.namespace) == (name, namespace) and not pod.ended]
        if not found:
            context.abort(grpc.StatusCode.UNKNOWN, f"pod {name} in namespace {namespace} not found")
        return api.GetPodResourcesResponse(pod_resources=self._of(found[0]))

    def _allocatable(
        self, _: api.AllocatableResourcesRequest, context: grpc.ServicerContext
    ) -> api.AllocatableResourcesResponse:
        self._limit(context)
        with self._manager.lock:
            healthy = [(name, device) for name, one in self._manager.resources.items() for device in one.healthy]
        return api.AllocatableResourcesResponse(devices=[self._device(*one) for one in healthy])

    def _limit(self, context: grpc.ServicerContext) -> None:
        if self._changes and not self._bucket.take():
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")

    def _of(self, pod: Pod) -> api.PodResources:
        lasting = (one for one in pod.containers if not one.init or one.sidecar)
        containers = [
            api.ContainerResources(
                name=one.name, devices=list(self._devices(pod, one)), dynamic_resources=self._claimed(pod, one)
            )
            for one in lasting
        ]
        return api.PodResources(name=pod.name, namespace=pod.namespace, containers=containers)

    def _devices(self, pod: Pod, container: Container) -> Iterator[api.ContainerDevices]:
        """One for each id, and its topology as it was when it was given."""
        for resource in container.limits:
            for node, device in self._manager.places_of(pod, container, resource):
                yield self._device(resource, device, node)

    def _claimed(self, pod: Pod, container: Container) -> list[api.DynamicResource]:
        return [
            api.DynamicResource(
                claim_name=info.name,
                claim_namespace=info.namespace,
                claim_resources=[
                    api.ClaimResource(
                        cdi_devices=[api.CDIDevice(name=name) for name in device.cdi],
                        driver_name=driver,
                        pool_name=device.pool,
                        device_name=device.device,
                    )
                    for driver, device in devices
                ],
            )
            for info, devices in self._claims.dynamic_resources(pod, container)
        ]

    def _device(self, resource: str, device: str, node: int | None = None) -> api.ContainerDevices:
        nodes = self._manager.nodes_of(resource, device) if node is None else [node]
        told = api.ContainerDevices(resource_name=resource, device_ids=[device])
        if real := [one for one in nodes if one != NO_NUMA]:
            told.topology.CopyFrom(api.TopologyInfo(nodes=[api.NUMANode(ID=one) for one in real]))
        return told
