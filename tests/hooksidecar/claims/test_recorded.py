"""Kubelet's recorded requests, to the byte, to our server: it answers as the recorded driver did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from hooksidecar.claims.server import EXPIRY, health_message
from hooksidecar.claims.source import ClaimRef, DeviceHealth, PreparedDevice
from hostdev.kubelet.stubs import dra_health_v1alpha1_pb2 as health
from hostdev.kubelet.stubs import dra_v1_pb2 as dra
from hostdev.kubelet.stubs.pluginregistration_v1_pb2 import PluginInfo
from tests.hooksidecar.claims.drivers import DRIVER, Answers, Client, endpoints, registrations, serving
from tests.kubelet.transcript import CLAIMS, Line, lines
from tests.kubelet.wire import ASKS, ITEM

PREPARE, UNDO = "NodePrepareResources", "NodeUnprepareResources"
MINE = [line for line in lines(CLAIMS) if line.plugin == DRIVER]


def pairs(call: str) -> Iterable[tuple[Line, Line]]:
    """Each request with its answer: the first after it that has none yet, for claims of two pods overlap."""
    asked = [line for line in MINE if (line.call, line.kind) == (call, ASKS)]
    return zip(asked, (line for line in MINE if (line.call, line.kind) == (call, "response")), strict=True)


class Recorded(Answers):
    """Answers as the driver answered a call."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: Mapping[str, dra.NodePrepareResourceResponse] = {}
        self.undos: Mapping[str, dra.NodeUnprepareResourceResponse] = {}

    def prepare(self, refs: Sequence[ClaimRef], within: float) -> Mapping[str, Sequence[PreparedDevice] | str]:
        self.within.append(within)
        return {ref.uid: self.claims[ref.uid].error or [*map(_device, self.claims[ref.uid].devices)] for ref in refs}

    def unprepare(self, refs: Sequence[ClaimRef]) -> Mapping[str, str | None]:
        return {ref.uid: self.undos[ref.uid].error or None for ref in refs}


def _device(one: dra.Device) -> PreparedDevice:
    return PreparedDevice(tuple(one.request_names), one.pool_name, one.device_name, tuple(one.cdi_device_ids))


def test_every_recorded_claim_is_answered_as_it_was(kubelet_dir: Path) -> None:
    recorded = Recorded()
    with serving(kubelet_dir, recorded), Client(*endpoints(kubelet_dir)) as client:
        for asked, answer in pairs(PREPARE):
            prepared = dra.NodePrepareResourcesResponse.FromString(answer.data)
            recorded.claims = prepared.claims
            assert dra.NodePrepareResourcesResponse.FromString(client.call(PREPARE, asked.data)) == prepared, asked.n
        for asked, answer in pairs(UNDO):
            undone = dra.NodeUnprepareResourcesResponse.FromString(answer.data)
            recorded.undos = undone.claims
            assert dra.NodeUnprepareResourcesResponse.FromString(client.call(UNDO, asked.data)) == undone, asked.n
    assert len(recorded.within) == 21, "nothing was left out"


def test_kubelet_is_told_what_the_recorded_driver_told(kubelet_dir: Path) -> None:
    (recorded,) = {one.data for one in MINE if (one.call, one.kind) == ("GetInfo", "response")}
    with serving(kubelet_dir, Answers()), Client(*registrations(kubelet_dir)) as client:
        told = client.info()
    told.endpoint = PluginInfo.FromString(recorded).endpoint

    assert told.SerializeToString() == recorded


@pytest.mark.parametrize("line", [one for one in MINE if one.kind == ITEM], ids=lambda line: str(line.n))
def test_health_is_encoded_as_it_was(line: Line) -> None:
    recorded = health.NodeWatchResourcesResponse.FromString(line.data)
    words = {health.HEALTHY: True, health.UNHEALTHY: False}
    devices = [
        DeviceHealth(one.device.pool_name, one.device.device_name, words[one.health], one.message)
        for one in recorded.devices
    ]
    # It named another time after which that is old, or none.
    for one in recorded.devices:
        one.health_check_timeout_seconds = EXPIRY

    assert health_message(devices, recorded.devices[0].last_updated_time) == recorded.SerializeToString()
