"""What kubelet knows of claims, and the file in which it keeps that: dra_manager_state."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

NAME = "dra_manager_state"
_HEAD = {"kind": "DRACheckpoint", "apiVersion": "checkpoint.dra.kubelet.k8s.io/v1"}


class Corrupt(Exception):
    """The file is not what kubelet wrote: it does not start."""


class Device(NamedTuple):
    """One that a driver answered with."""

    pool: str
    device: str
    requests: tuple[str, ...]
    cdi: tuple[str, ...]


@dataclass
class ClaimInfo:
    """A claim that a pod of the node uses, or used."""

    uid: str
    name: str
    namespace: str
    drivers: dict[str, list[Device]]
    """Those of its allocation, with what each has prepared; a second answer comes on top of the first."""
    pods: dict[str, None] = field(default_factory=dict)
    prepared: bool = False
    """Not kept in the file."""

    def devices(self, request: str = "") -> list[tuple[str, Device]]:
        """Driver and device, of a request or of all."""
        # What a prioritized list chose stands as `request/subrequest`, and is meant by the first part.
        wanted = request.partition("/")[0]
        return [
            (driver, device)
            for driver, devices in self.drivers.items()
            for device in devices
            if not wanted or wanted in {name.partition("/")[0] for name in device.requests}
        ]


def write(directory: Path, infos: Iterable[ClaimInfo]) -> None:
    """One line, put in place by a rename."""
    text = document(infos)
    hidden = directory / f".{NAME}{os.urandom(3).hex()}"
    hidden.touch(0o600)
    hidden.write_text(text)
    hidden.rename(directory / NAME)


def read(directory: Path) -> list[ClaimInfo]:
    """What was written; raises Corrupt."""
    path = directory / NAME
    if not path.exists():
        return []
    try:
        whole = json.loads(path.read_bytes())
        if zlib.crc32(whole["Data"].encode()) != whole["Checksum"]:
            raise Corrupt("checkpoint is corrupted")
        return [_info(one) for one in json.loads(whole["Data"])["ClaimInfoStateList"] or ()]
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(str(error)) from None


def document(infos: Iterable[ClaimInfo]) -> str:
    """The content of the file."""
    states = [
        {
            "ClaimUID": info.uid,
            "ClaimName": info.name,
            "Namespace": info.namespace,
            "PodUIDs": {uid: {} for uid in sorted(info.pods)},
            "DriverState": {name: {"Devices": [*map(_state, found)] or None} for name, found in info.drivers.items()},
        }
        for info in infos
    ]
    data = _json({**_HEAD, "ClaimInfoStateList": states or None})
    return _json({"Data": data, "Checksum": zlib.crc32(data.encode())})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _state(device: Device) -> Mapping[str, Any]:
    return {
        "PoolName": device.pool,
        "DeviceName": device.device,
        "ShareID": None,
        "RequestNames": list(device.requests),
        "CDIDeviceIDs": list(device.cdi),
    }


def _info(state: Mapping[str, Any]) -> ClaimInfo:
    drivers = {
        name: [
            Device(one["PoolName"], one["DeviceName"], tuple(one["RequestNames"]), tuple(one["CDIDeviceIDs"] or ()))
            for one in found["Devices"] or ()
        ]
        for name, found in state["DriverState"].items()
    }
    pods = dict.fromkeys(state["PodUIDs"])
    return ClaimInfo(state["ClaimUID"], state["ClaimName"], state["Namespace"], drivers, pods)
