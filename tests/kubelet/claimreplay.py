"""The recorded driver, played against the double: its answers as recorded, kubelet's requests compared to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hostdev.kubelet.stubs import dra_v1_pb2 as dra
from hostdev.kubelet.stubs.pluginregistration_v1_pb2 import PluginInfo
from tests.house import ROOT
from tests.kubelet.cluster import Objects, claim_object
from tests.kubelet.player import HEALTH, Player
from tests.kubelet.pods import ClaimUse, Container, ExtendedClaim, Pod, PodClaim
from tests.kubelet.replay import RECORDED, Replay, Script, Step
from tests.kubelet.transcript import Line
from tests.kubelet.wire import ASKS, ITEM

DRIVER, PREPARE = "units.lab.dev", "NodePrepareResources"
STATES: Mapping[str, Any] = json.loads((ROOT / "tests/fixtures/kubelet/dra.json").read_text())
"""What kubelet, the runtime and the API server had at some moments."""


class ClaimReplay(Replay):
    """One scenario with a driver; what the cluster has of a claim is set by the script."""

    def __init__(self, directory: Path, lines: Iterable[Line], script: Script, **more: Any) -> None:
        super().__init__(directory, [*_numbered(lines)], script, **more)
        write_files(directory / "root", self.lines)
        self.cluster = Objects()
        self.kubelet.cluster = self.cluster
        self._uids = dict(_claims(self.lines))
        self._endpoint = directory / "plugins" / DRIVER / "dra.sock"

    def serve(self, plugin: str, note: str) -> None:
        """A driver is at two sockets."""
        super().serve(plugin, note)
        if plugin == DRIVER:
            self._endpoint.parent.mkdir(parents=True, exist_ok=True)
            self._served[plugin].append(Player(str(self._endpoint), self.kubelet.wire))

    def answer_of(self, line: Line) -> bytes:
        if line.call != "GetInfo" or line.plugin != DRIVER:
            return line.data
        info = PluginInfo.FromString(line.data)
        info.endpoint = info.endpoint.replace(RECORDED, str(self.kubelet.directory))
        return info.SerializeToString()

    def _watch(self, line: Line) -> None:
        if line.call != HEALTH:
            super()._watch(line)
            return
        self._wait(line, lambda: len(self._streams(line.plugin)) >= line.stream)
        if line.kind == ITEM:
            self._streams(line.plugin)[line.stream - 1].send(line.data)
            self._wait(line, lambda: any((one.call, one.data) == (HEALTH, line.data) for one in self.kubelet.wire))

    def create(self, pod: Pod, claim: str, uid: str = "", *, alone: bool = True) -> None:
        """A pod that the claim is reserved for, as the recorded one was."""
        self.kubelet.wait(lambda: not alone or not self.kubelet.pods, "the pods before it are gone")
        pod.uid = uid or pod.uid
        known = self.cluster.find_claim("default", claim)
        pods = {one["name"]: one["uid"] for one in known["status"]["reservedFor"]} if known else {}
        self.cluster.add(claim_object(claim, self._uids[claim], pods | {pod.name: pod.uid}, "gpu=u0", driver=DRIVER))
        self.pods[pod.name] = self.kubelet.create(pod, bound=True)

    def check(self, what: str, found: object, recorded: object) -> None:
        """Note what is otherwise than it was."""
        if found != recorded:
            self.differences.append(f"{what}: {found} instead of {recorded}")


def _claims(lines: Iterable[Line]) -> Iterable[tuple[str, str]]:
    """Name and UID of each that kubelet asked for."""
    for line in lines:
        if line.call == PREPARE and line.kind == ASKS:
            yield from ((one.name, one.uid) for one in dra.NodePrepareResourcesRequest.FromString(line.data).claims)


def _numbered(lines: Iterable[Line]) -> Iterable[Line]:
    """Each stream of health by its number: the recording has none, since a driver has one at a time."""
    number = 0
    for line in lines:
        number += line.call == HEALTH and line.kind == ASKS
        yield line._replace(stream=number) if line.call == HEALTH else line


def write_files(root: Path, lines: Iterable[Line]) -> None:
    """The CDI files of the recorded claims, and what they name; those that were not kept are of the same shape."""
    directory = root / "var/run/cdi"
    directory.mkdir(parents=True, exist_ok=True)
    (root / "dev/fuse").touch()
    kept = {device["name"] for spec in STATES["cdi"] for device in spec["devices"]}
    answers = [dra.NodePrepareResourcesResponse.FromString(one.data) for one in lines if _is_answer(one)]
    devices = (device for answer in answers for claim in answer.claims.values() for device in claim.devices)
    named = dict.fromkeys(name for device in devices for name in device.cdi_device_ids)
    specs = [*STATES["cdi"]]
    for kind, _, name in (one.partition("=") for one in named):
        if name not in kept and name != "none":
            specs.append({"cdiVersion": "0.6.0", "kind": kind, "devices": [{"name": name, "containerEdits": {}}]})
    for number, spec in enumerate(specs):
        (directory / f"{number}.json").write_text(json.dumps(spec))
    mount = STATES["cdi"][1]["devices"][0]["containerEdits"]["mounts"][0]["hostPath"]
    path = root / mount.lstrip("/")
    path.parent.mkdir(parents=True)
    path.touch()


def _is_answer(line: Line) -> bool:
    return line.call == PREPARE and line.kind == "response"


def uses(pod: str, claim: str, *requests: str, uid: str = "", name: str = "gpu", alone: bool = True) -> Step:
    """A pod with a claim, by the name that it has for it; a container of it names these requests."""

    def create(replay: Replay) -> None:
        assert isinstance(replay, ClaimReplay)
        wanted = tuple(ClaimUse(name, request) for request in requests or ("",))
        made = Pod(pod, containers=(Container(claims=wanted),), claims=(PodClaim(name, claim),))
        replay.create(made, claim, uid, alone=alone)

    return create


def uses_extended(pod: str, claim: str, *containers: str) -> Step:
    """A pod whose containers have an extended resource in their limits, which the scheduler made a claim of."""

    def create(replay: Replay) -> None:
        assert isinstance(replay, ClaimReplay)
        resource = f"{DRIVER}/dragpu"
        mappings = tuple((name, resource, f"container-{number}-request-0") for number, name in enumerate(containers))
        made = Pod(pod, containers=tuple(Container(name, {resource: 1}) for name in containers))
        made.extended = ExtendedClaim(claim, mappings)
        replay.create(made, claim)

    return create
