"""VMs with SR-IOV interfaces, and the cloud-init data that KubeVirt hands over for them."""

from __future__ import annotations

import json
from typing import Any

from hostdev.cloudinit.hook import Documents

SECRET = "correct-horse"  # noqa: S105  a test looks for it where it must not be
USER_DATA = f"#cloud-config\npassword: {SECRET}\n"
DEFAULT: dict[str, Any] = {"name": "default", "masquerade": {}, "macAddress": "02:00:00:00:00:01"}
LEFT: dict[str, Any] = {"name": "left", "sriov": {}, "macAddress": "02:0A:C8:83:00:01"}
RIGHT: dict[str, Any] = {"name": "right", "sriov": {}, "macAddress": "02:0a:c8:84:00:04"}
ADDRESSED: dict[str, Any] = {"name": "left", "addresses": ["192.0.2.10/24"]}
BOND: dict[str, Any] = {"name": "bond0", "interfaces": ["left", "right"], "mode": "active-backup"}


def vmi(*interfaces: Any, bonds: Any = None, addressed: Any = None, **more: Any) -> bytes:
    """The VMI as a hook gets it."""
    asked = {"passgate.dev/bonds": bonds, "passgate.dev/interfaces": addressed}
    written = {name: json.dumps(entries) for name, entries in asked.items() if entries is not None}
    metadata = {"name": "vm", "namespace": "ns", "annotations": written}
    spec = {"domain": {"devices": {"interfaces": list(interfaces)}}}
    return json.dumps({"metadata": metadata, "spec": spec, **more}).encode()


def documents(network_data: str = "", user_data: str = USER_DATA, source: str = "noCloud") -> Documents:
    """Both documents as Go writes them: the newer with every field, the older without the empty ones."""
    older = {"userData": user_data, "networkData": network_data}
    meta = {"instance-id": "5d307ca9-b3ef-428c-8861-06e72d69f223", "local-hostname": "vm"}
    newer = {
        "DataSource": source,
        "NoCloudMetaData": meta if source == "noCloud" else None,
        "ConfigDriveMetaData": None if source == "noCloud" else meta,
        "UserData": user_data,
        "NetworkData": network_data,
        "DevicesData": None,
        "VolumeName": "init",
    }
    return Documents(_go({key: value for key, value in older.items() if value}), _go(newer))


def _go(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode()
