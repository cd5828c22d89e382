"""What a real kubelet 1.36.2 and device plugins said to each other, message by message."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from google.protobuf.message import Message

from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as deviceplugin
from hostdev.kubelet.stubs import pluginregistration_v1_pb2 as registration
from tests.house import ROOT

FILE = ROOT / "tests/fixtures/kubelet/transcript.jsonl"
ITEM = "stream-item"
ASKS, ANSWERS = "request", frozenset({"response", ITEM})
MESSAGES: Mapping[str, tuple[type[Message], type[Message]]] = {
    "Register": (deviceplugin.RegisterRequest, deviceplugin.Empty),
    "GetDevicePluginOptions": (deviceplugin.Empty, deviceplugin.DevicePluginOptions),
    "ListAndWatch": (deviceplugin.Empty, deviceplugin.ListAndWatchResponse),
    "GetPreferredAllocation": (deviceplugin.PreferredAllocationRequest, deviceplugin.PreferredAllocationResponse),
    "Allocate": (deviceplugin.AllocateRequest, deviceplugin.AllocateResponse),
    "PreStartContainer": (deviceplugin.PreStartContainerRequest, deviceplugin.PreStartContainerResponse),
    "GetInfo": (registration.InfoRequest, registration.PluginInfo),
    "NotifyRegistrationStatus": (registration.RegistrationStatus, registration.RegistrationStatusResponse),
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
        """The message as it went over the socket."""
        return b64decode(self.b64)

    @property
    def format(self) -> type[Message] | None:
        """What the message is; None where the line has none."""
        if self.kind == ASKS:
            return MESSAGES[self.call][0]
        return MESSAGES[self.call][1] if self.kind in ANSWERS else None


@cache
def lines() -> tuple[Line, ...]:
    """The whole recording."""
    return tuple(Line(**json.loads(line)) for line in FILE.read_text().splitlines())


def scenario(*prefixes: str) -> Iterable[Line]:
    """The lines whose scenario begins with one of these words."""
    return (line for line in lines() if line.scenario.partition(" ")[0].startswith(prefixes))
