"""A device plugin as most are: it registers once, answers what it is asked, and notices nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import grpc
from google.protobuf.message import Message

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.manager import HEALTHY
from tests.kubelet.player import Answer, Incoming, Player, register

OPTIONS = api.DevicePluginOptions(get_preferred_allocation_available=True, pre_start_required=True)


class Plain(Player):
    """Gives the ids in a variable; a test may change any of its answers."""

    def __init__(self, kubelet: Kubelet, resource: str, devices: Mapping[str, str], socket: str = "") -> None:
        self.kubelet, self.resource, self.devices = kubelet, resource, dict(devices)
        self.name = socket or f"{resource.replace('/', '-')}.sock"
        self.options = OPTIONS
        self.numa: dict[str, int] = {}
        """The NUMA nodes of devices."""
        self.hangs = False
        """Whether a call waits for ever."""
        self.calls: list[Incoming] = []
        self._ended = threading.Event()
        self.answers: dict[str, Callable[[bytes], Message | Answer]] = {
            "GetDevicePluginOptions": lambda _: self.options,
            "GetPreferredAllocation": self._prefer,
            "Allocate": self._allocate,
            "PreStartContainer": lambda _: api.PreStartContainerResponse(),
        }
        super().__init__(str(kubelet.plugins / self.name), kubelet.wire)
        kubelet.guests.append(self.stop)

    def register(
        self, *, endpoint: str = "", version: str = "v1beta1", options: api.DevicePluginOptions | None = None
    ) -> Answer:
        """Tell kubelet's Registration server, and wait until the list has arrived there."""
        request = api.RegisterRequest(
            version=version, endpoint=endpoint or self.name, resource_name=self.resource, options=options
        )
        answer = register(str(self.kubelet.plugins / "kubelet.sock"), request, 15.0)
        if not answer.code:
            listed = self.devices
            self.kubelet.wait(lambda: self.known() == listed, "the first list")
        return answer

    def tell(self, devices: Mapping[str, str]) -> None:
        """A new list, on every stream that is open; kubelet has it when this returns."""
        self.devices = dict(devices)
        for stream in self.streams:
            stream.send(self.listed())
        listed = self.devices
        self.kubelet.wait(lambda: self.known() == listed, f"kubelet has {listed}")

    def known(self) -> Mapping[str, str]:
        """What kubelet has as its list."""
        found = self.kubelet.manager.resources.get(self.resource)
        return {name: device.health for name, device in found.listed.items()} if found else {}

    def listed(self) -> bytes:
        """Its message."""
        answer = api.ListAndWatchResponse()
        for name, health in self.devices.items():
            device = answer.devices.add(ID=name, health=health)
            if name in self.numa:
                device.topology.nodes.add(ID=self.numa[name])
        return answer.SerializeToString()

    def ask(self, call: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls.append(Incoming(call, data, context.time_remaining(), Future()))
        answer = self.answers[call](data)
        if isinstance(answer, Message):
            return answer.SerializeToString()
        if answer.code:
            context.abort(answer.code, answer.details)
        return answer.data

    def hang(self) -> Answer:
        """Answer no more until the end."""
        self.hangs = True
        self._ended.wait()
        return Answer(code=grpc.StatusCode.UNAVAILABLE, details="Cancelling all calls")

    def stop(self) -> None:
        self._ended.set()
        super().stop()

    def first(self) -> bytes:
        return self.listed()

    def _prefer(self, data: bytes) -> Message:
        wanted = api.PreferredAllocationRequest.FromString(data).container_requests[0]
        ids = sorted(wanted.available_deviceIDs)[: wanted.allocation_size]
        chosen = api.ContainerPreferredAllocationResponse(deviceIDs=ids)
        return api.PreferredAllocationResponse(container_responses=[chosen])

    def _allocate(self, data: bytes) -> Message:
        ids = api.AllocateRequest.FromString(data).container_requests[0].devices_ids
        answer = api.ContainerAllocateResponse(envs={"IDS": ",".join(sorted(ids))})
        return api.AllocateResponse(container_responses=[answer])


def healthy(*ids: str) -> dict[str, str]:
    """All of them."""
    return dict.fromkeys(ids, HEALTHY)
