"""The device manager's checkpoint, written and read as kubelet does."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

NAME = "kubelet_internal_checkpoint"
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193
Nodes: TypeAlias = Mapping[int, tuple[str, ...]]
"""Ids by NUMA node; -1 is none."""


class Entry(NamedTuple):
    """What one container was given of one resource."""

    uid: str
    container: str
    resource: str
    nodes: Nodes
    answer: bytes

    @property
    def ids(self) -> frozenset[str]:
        """An id of two NUMA nodes stands under both."""
        return frozenset(device for ids in self.nodes.values() for device in ids)


class Checkpoint(NamedTuple):
    """The content of the file."""

    entries: tuple[Entry, ...] = ()
    registered: Mapping[str, tuple[str, ...]] = {}


class Corrupt(Exception):
    """The file is not what kubelet wrote."""


def write(directory: Path, checkpoint: Checkpoint) -> None:
    """One line, put in place by a rename; only root may read it."""
    data = _document(checkpoint)
    text = json.dumps({"Data": data, "Checksum": checksum(data)}, separators=(",", ":"), ensure_ascii=False)
    hidden = directory / f".{NAME}{os.urandom(3).hex()}"
    hidden.touch(0o600)
    hidden.write_text(text)
    hidden.rename(directory / NAME)


def read(directory: Path) -> Checkpoint:
    """What was written; empty where there is no file. Raises Corrupt."""
    path = directory / NAME
    if not path.exists():
        return Checkpoint()
    try:
        document = json.loads(path.read_bytes())
        data = document["Data"]
        if document["Checksum"] != checksum(data):
            raise Corrupt("checkpoint is corrupted")
        return Checkpoint(
            tuple(map(_entry, data["PodDeviceEntries"] or ())),
            {resource: tuple(ids) for resource, ids in data["RegisteredDevices"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(str(error)) from None


def checksum(data: Mapping[str, Any]) -> int:
    """FNV-1a of the text that kubelet's library makes of its structs: names, types and values."""
    value = _FNV_OFFSET
    for byte in _dump(data).encode():
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value


def _dump(data: Mapping[str, Any]) -> str:
    entries = data["PodDeviceEntries"]
    dumped = "<nil>" if entries is None else f"[{' '.join(map(_dumped_entry, entries))}]"
    registered = " ".join(f"{name}:[{' '.join(ids)}]" for name, ids in sorted(data["RegisteredDevices"].items()))
    return (
        f"(checkpoint.checkpointData){{PodDeviceEntries:([]checkpoint.PodDevicesEntry){dumped} "
        f"RegisteredDevices:(map[string][]string)map[{registered}]}}"
    )


def _dumped_entry(entry: Mapping[str, Any]) -> str:
    nodes = " ".join(f"{node}:[{' '.join(ids)}]" for node, ids in sorted(entry["DeviceIDs"].items(), key=_number))
    strings = " ".join(f"{key}:(string){entry[key]}" for key in ("PodUID", "ContainerName", "ResourceName"))
    answer = " ".join(map(str, b64decode(entry["AllocResp"])))
    return f"{{{strings} DeviceIDs:(checkpoint.DevicesPerNUMA)map[{nodes}] AllocResp:([]uint8)[{answer}]}}"


def _number(item: tuple[str, object]) -> int:
    return int(item[0])


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    entries = [
        {
            "PodUID": entry.uid,
            "ContainerName": entry.container,
            "ResourceName": entry.resource,
            "DeviceIDs": {str(node): list(ids) for node, ids in sorted(entry.nodes.items())},
            "AllocResp": b64encode(entry.answer).decode(),
        }
        for entry in checkpoint.entries
    ]
    registered = {resource: list(ids) for resource, ids in sorted(checkpoint.registered.items())}
    return {"PodDeviceEntries": entries or None, "RegisteredDevices": registered}


def _entry(entry: Mapping[str, Any]) -> Entry:
    nodes = {int(node): tuple(ids) for node, ids in entry["DeviceIDs"].items()}
    named = (entry["PodUID"], entry["ContainerName"], entry["ResourceName"])
    return Entry(*named, nodes, b64decode(entry["AllocResp"]))
