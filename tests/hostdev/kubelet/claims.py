"""Records of claims in a few words."""

from __future__ import annotations

import json
from typing import Any
from zlib import crc32

from domxml.pciaddress import PciAddress
from hostdev.kubelet.claimrecords import ClaimRecord, PreparedUnit, as_document

UID = "666df36f-1313-498d-8f47-9c7d59942ba3"
DRIVER = "units.passgate.dev"


def unit(bus: int = 0x3D, *, requests: tuple[str, ...] = ("gpu",), resource: str = "example.com/gpu") -> PreparedUnit:
    """A card and its sound."""
    functions = tuple(PciAddress(0, bus, 0, function) for function in (0, 1))
    return PreparedUnit(
        requests,
        "node-1",
        f"unit-{bus:02x}",
        f"0000:{bus:02x}-00.0-10de.1eb8",
        resource,
        functions,
        (bus,),
        ("/dev/vfio/vfio", f"/dev/vfio/{bus}", f"/dev/vfio/devices/vfio{bus}"),
    )


def record(*units: PreparedUnit, **changes: Any) -> ClaimRecord:
    found = ClaimRecord(
        UID, "default", "dr0-gpu-f27z2", "gpu", DRIVER, (("dr0", "eac6e833"),), "0b2a8e5e", units or (unit(),)
    )
    return found._replace(**changes)


def content(of: ClaimRecord, **changes: Any) -> bytes:
    """What the file holds, with some fields changed."""
    return json.dumps({**as_document(of), **changes}).encode()


def kubelet_state(*claims: dict[str, Any], **changes: Any) -> bytes:
    """Kubelet's own record of claims."""
    state = {
        "kind": "DRACheckpoint",
        "apiVersion": "checkpoint.dra.kubelet.k8s.io/v1",
        "ClaimInfoStateList": list(claims),
        **changes,
    }
    text = json.dumps({key: value for key, value in state.items() if value != "absent"})
    return json.dumps({"Data": text, "Checksum": crc32(text.encode())}).encode()
