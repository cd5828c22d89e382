"""What the container runtime injects for the devices of a claim: one file of the Container Device Interface."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hostdev.claims.metadata import base_request, container_path
from hostdev.kubelet.claimrecords import ClaimRecord, PreparedUnit
from hostdev.offer.grant import CONTAINER_NODE, PERMISSIONS

VERSION = "0.5.0"
"""The first that takes a device name that begins with a digit, as UIDs may; what came later is not used, and older
runtimes refuse a newer version."""
CLASS = "claim"


def file_name(driver: str, uid: str) -> str:
    """The file of a claim; runtimes read what ends so, and nothing that begins with a dot."""
    return f"{driver}-{uid}.json"


def device_id(record: ClaimRecord, unit: PreparedUnit) -> str:
    """What kubelet names a device by when it has a container made."""
    return f"{_kind(record)}={_device_name(record, unit)}"


def render_spec(record: ClaimRecord, metadata: Callable[[str], str]) -> bytes:
    """The file; `metadata` gives the path of a request's metadata file on the host.

    Of two devices that set one variable the last one wins. The variables are therefore the claim's, as is the one node
    that all share: they are applied once, whichever of its devices a container has.
    """
    spec = {
        "cdiVersion": VERSION,
        "kind": _kind(record),
        "containerEdits": {
            "env": [f"{name}={value}" for name, value in sorted(record.variables.items())],
            "deviceNodes": [_node(CONTAINER_NODE)],
        },
        "devices": [_device(record, unit, metadata) for unit in record.units],
    }
    return json.dumps(spec, indent=2).encode() + b"\n"


def _kind(record: ClaimRecord) -> str:
    return f"{record.driver}/{CLASS}"


def _device_name(record: ClaimRecord, unit: PreparedUnit) -> str:
    return f"{record.uid}-{unit.device}"


def _device(record: ClaimRecord, unit: PreparedUnit, metadata: Callable[[str], str]) -> dict[str, Any]:
    requests = dict.fromkeys(map(base_request, unit.requests))
    return {
        "name": _device_name(record, unit),
        "containerEdits": {
            "deviceNodes": [_node(path) for path in unit.nodes if path != CONTAINER_NODE],
            "mounts": [
                {
                    "hostPath": metadata(request),
                    "containerPath": container_path(record, request),
                    "options": ["ro", "bind"],
                }
                for request in requests
            ],
        },
    }


def _node(path: str) -> dict[str, str]:
    return {"path": path, "hostPath": path, "permissions": PERMISSIONS}
