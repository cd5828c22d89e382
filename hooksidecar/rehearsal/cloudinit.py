"""PreCloudInitIso as virt-launcher calls it: the VM's cloud-init data in both of its forms, and what came back."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NamedTuple

from domxml.errors import BadInput, Refused
from hostdev.jsontext import parse_json
from hostdev.jsonutil import JsonObject, as_object
from hostdev.vmi.vmi import CODE, DOCUMENT

HOOK_POINT = "PreCloudInitIso"
SOURCES = {"cloudInitNoCloud": "noCloud", "cloudInitConfigDrive": "configDrive"}
NETWORK = frozenset({"NetworkData", "networkData"})
UNKNOWN = "#cloud-config\n"
"""For user data that lies in a secret."""


class Documents(NamedTuple):
    """The data: as v1alpha1 had it, and as it is now."""

    older: bytes
    newer: bytes


class Written(NamedTuple):
    """The sidecar's changes. Nothing of them is a secret: network data is shown, of the rest only names."""

    same: bool
    changed: tuple[str, ...]
    network_data: str
    ms: float

    @property
    def foreign(self) -> tuple[str, ...]:
        """Changed fields besides network data."""
        return tuple(name for name in self.changed if name not in NETWORK)


def vm_documents(vmi: bytes) -> Documents:
    """Make what virt-launcher makes of the first cloud-init volume."""
    document = as_object(parse_json(vmi, DOCUMENT), "", CODE)
    for volume in document.get_object("spec").get_objects("volumes"):
        for key, source in SOURCES.items():
            if volume.has(key):
                return _documents(document.get_object("metadata"), volume, volume.get_object(key), source)
    raise Refused(
        "no-cloud-init",
        f"the sidecar subscribes {HOOK_POINT}, and the VM has no cloud-init volume: virt-launcher would panic",
        hint="leave --cloud-init out, or give the VM a cloudInitNoCloud volume",
    )


def compare(given: Documents, answered: Documents, ms: float) -> Written:
    """Name the fields that changed."""
    before, after = ({**_read(one.older), **_read(one.newer)} for one in (given, answered))
    changed = tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
    text = str(after.get("NetworkData") or "") if NETWORK & set(changed) else ""
    return Written(given == answered, changed, text, ms)


def _documents(metadata: JsonObject, volume: JsonObject, told: JsonObject, source: str) -> Documents:
    user, network = _text(told, "userData") or UNKNOWN, _text(told, "networkData")
    about = {"instance-id": metadata.get_str("uid") or "", "local-hostname": metadata.get_str("name")}
    newer = {
        "DataSource": source,
        "NoCloudMetaData": about if source == "noCloud" else None,
        "ConfigDriveMetaData": None if source == "noCloud" else about,
        "UserData": user,
        "NetworkData": network,
        "DevicesData": None,
        "VolumeName": volume.get_str("name") or "",
    }
    older = {"userData": user, **({"networkData": network} if network else {})}
    return Documents(json.dumps(older).encode(), json.dumps(newer).encode())


def _text(told: JsonObject, key: str) -> str:
    if plain := told.get_str(key):
        return plain
    try:
        return base64.b64decode(told.get_str(f"{key}Base64") or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BadInput(CODE, f"{key}Base64 is no text in base64", subject=told.path) from None


def _read(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused("bad-answer", f"{len(data)} bytes came that are no cloud-init data in JSON", subject=HOOK_POINT)
    return found
