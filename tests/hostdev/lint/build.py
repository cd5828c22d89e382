"""VMs to be linted: one that is right, and changes to it."""

from __future__ import annotations

import json
from typing import Any

from domxml.finding import Finding
from hostdev.lint.lint import lint
from hostdev.vmi.file import Manifest, parse_manifest

QAT = "qat.intel.com/generic"
HOOK = [{"image": "registry.example/passgate:1"}]


def manifest(
    devices: Any = ({"resource": QAT},),
    *,
    hooks: Any = HOOK,
    annotations: dict[str, str] | None = None,
    own: dict[str, str] | None = None,
    domain: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    requests: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    vm: dict[str, Any] | None = None,
) -> Manifest:
    """A VM with one QAT VF and nothing to complain about; None leaves an annotation out."""
    written = {"passgate.dev/devices": devices, "hooks.kubevirt.io/hookSidecars": hooks}
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in written.items()
        if value is not None
    }
    resources = {"limits": {QAT: "1"} if limits is None else limits, "requests": requests or {}}
    memory = {"guest": "4Gi", "reservedOverhead": {"addedOverhead": "1Gi", "memLock": "Required"}}
    template = {
        "metadata": {"annotations": {**texts, **(annotations or {})}},
        "spec": {
            "evictionStrategy": "None",
            "architecture": "amd64",
            "domain": {"machine": {"type": "q35"}, "memory": memory, "resources": resources, **(domain or {})},
            **(spec or {}),
        },
    }
    document = {
        "kind": "VirtualMachine",
        "metadata": {"name": "vm", "namespace": "ns", "annotations": own or {}},
        "spec": {"template": template, **(vm or {})},
    }
    return parse_manifest(json.dumps(document).encode())


def found(*words: Any, **changes: Any) -> list[Finding]:
    """What is found, but for the hint that every VM with a hook sidecar gets."""
    return [finding for finding in lint(manifest(*words, **changes)) if finding.code != "sidecar-gate"]


def told(*words: Any, **changes: Any) -> list[str]:
    """The same as short lines."""
    return [f"{one.severity} {one.code} {one.subject}: {one.message}" for one in found(*words, **changes)]
