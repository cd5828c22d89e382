"""Devices of resource claims in the VMI's status, where KubeVirt 1.6 and 1.7 put them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from domxml.finding import Finding
from domxml.text import printable
from hostdev.allocation import jsontext, tokens
from hostdev.allocation.channels import VMI_STATUS
from hostdev.allocation.values import Allocation, Gathered

LISTS = ("gpuStatuses", "hostDeviceStatuses")
ATTRIBUTES = ("mDevUUID", "pciAddress")
"""A mediated device has both, and its address is its parent's."""


def from_vmi_status(vmi: Mapping[str, Any]) -> Gathered:
    """Gather the devices that a VMI's status names."""
    allocations: list[Allocation] = []
    findings: list[Finding] = []
    for name, word in _devices(vmi):
        device = tokens.classify(word)
        source = f"{VMI_STATUS} {printable(name)}"
        allocations.append(Allocation(device, label=name, name=name, sources=(source,)))
        findings += tokens.remarks([device], printable(name))
    return Gathered(tuple(allocations), tuple(findings))


def _devices(vmi: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    status = jsontext.mapping(jsontext.mapping(vmi.get("status")).get("deviceStatus"))
    for kind in LISTS:
        for entry in map(jsontext.mapping, jsontext.items(status.get(kind))):
            claim = jsontext.mapping(entry.get("deviceResourceClaimStatus"))
            attributes = jsontext.mapping(claim.get("attributes"))
            words = (jsontext.string(attributes.get(name)) for name in ATTRIBUTES)
            word = next((word for word in words if word), "")
            if word:
                yield jsontext.string(entry.get("name")), word
