"""What a real kubelet 1.36.2 and device plugins said to each other, message by message."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import NamedTuple

from google.protobuf.message import Message

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as deviceplugin
from hostdev.kubelet.stubs import dra_health_v1alpha1_pb2 as health
from hostdev.kubelet.stubs import dra_v1_pb2 as dra
from hostdev.kubelet.stubs import pluginregistration_v1_pb2 as registration
from tests.house import ROOT
from tests.kubelet.wire import ASKS, ITEM

PLUGINS, CLAIMS = "transcript", "claims"
"""The two parts of the recording: of device plugins, and of a driver for dynamic resource allocation."""
ANSWERS = frozenset({"response", ITEM})
MESSAGES: Mapping[str, tuple[type[Message], type[Message]]] = {
    "Register": (deviceplugin.RegisterRequest, deviceplugin.Empty),
    "GetDevicePluginOptions": (deviceplugin.Empty, deviceplugin.DevicePluginOptions),
    "ListAndWatch": (deviceplugin.Empty, deviceplugin.ListAndWatchResponse),
    "GetPreferredAllocation": (deviceplugin.PreferredAllocationRequest, deviceplugin.PreferredAllocationResponse),
    "Allocate": (deviceplugin.AllocateRequest, deviceplugin.AllocateResponse),
    "PreStartContainer": (deviceplugin.PreStartContainerRequest, deviceplugin.PreStartContainerResponse),
    "GetInfo": (registration.InfoRequest, registration.PluginInfo),
    "NotifyRegistrationStatus": (registration.RegistrationStatus, registration.RegistrationStatusResponse),
    "NodePrepareResources": (dra.NodePrepareResourcesRequest, dra.NodePrepareResourcesResponse),
    "NodeUnprepareResources": (dra.NodeUnprepareResourcesRequest, dra.NodeUnprepareResourcesResponse),
    "NodeWatchResources": (health.NodeWatchResourcesRequest, health.NodeWatchResourcesResponse),
}
"""What each call takes and answers."""


class Line(NamedTuple):
    """One message, or one thing that the recording test did."""

    n: int
    at: float
    scenario: str
    plugin: str
    side: str
    """Who did it: kubelet, plugin, or test."""
    call: str
    kind: str
    b64: str = ""
    stream: int = 0
    deadline: float | None = None
    """Seconds that the asking side gave the answer."""
    code: str = ""
    details: str = ""
    note: str = ""
    truncated_to: int = 0
    """How many bytes of the message were kept, where it is longer."""
    sha256: str = ""
    length: int = 0

    @property
    def data(self) -> bytes:
        """The message as it went over the socket; of a long one that cannot be made again, its beginning."""
        long = _LONG.get(self.n)
        return long().SerializeToString() if long else b64decode(self.b64)

    @property
    def format(self) -> type[Message] | None:
        """What the message is; None where the line has none."""
        if self.kind == ASKS:
            return MESSAGES[self.call][0]
        return MESSAGES[self.call][1] if self.kind in ANSWERS else None


def _many() -> Message:
    """4096 functions, each on NUMA node 0."""
    ids = (f"0000:{n >> 8:02x}:{n >> 3 & 31:02x}.{n & 7}" for n in range(4096))
    topology = deviceplugin.TopologyInfo(nodes=[deviceplugin.NUMANode()])
    return _listed(deviceplugin.Device(ID=one, health="Healthy", topology=topology) for one in ids)


def _too_many() -> Message:
    """More than gRPC takes."""
    return _listed(deviceplugin.Device(ID=f"{n:08x}-{60 * 'y'}", health="Healthy") for n in range(65536))


def _listed(devices: Iterable[deviceplugin.Device]) -> Message:
    return deviceplugin.ListAndWatchResponse(devices=devices)


def _big() -> Message:
    container = deviceplugin.ContainerAllocateResponse(envs={"BIG": 140_000 * "x"})
    return deviceplugin.AllocateResponse(container_responses=[container])


_LONG: Mapping[int, Callable[[], Message]] = {41: _many, 46: _too_many, 376: _big}
"""Long messages that were cut: what makes them again, by their line."""


@cache
def lines(part: str = PLUGINS) -> tuple[Line, ...]:
    """A part of the recording as a whole."""
    file = ROOT / f"tests/fixtures/kubelet/{part}.jsonl"
    return tuple(Line(**json.loads(line)) for line in file.read_text().splitlines())


def scenario(*prefixes: str, part: str = PLUGINS) -> Iterable[Line]:
    """The lines whose scenario begins with one of these words."""
    return (line for line in lines(part) if line.scenario.partition(" ")[0].startswith(prefixes))
