"""What KubeVirt itself tells of devices: hostdevs that it put into the domain, claims in the VMI's status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from domxml.document import Domain
from domxml.finding import Finding
from domxml.text import printable
from hostdev import jsontext
from hostdev.allocation import dialects
from hostdev.allocation.allocation import DOMAIN, VMI_STATUS, Allocation, Gathered


def from_domain(domain: Domain) -> Gathered:
    """Gather the host devices that carry an alias of KubeVirt's; ours, and foreign ones, are no allocation."""
    allocations = []
    for device, holder in domain.host_devices.items():
        if name := holder.kubevirt_name:
            source = f"{DOMAIN} {printable(holder.alias)}"
            allocations.append(Allocation(device, label=name, name=name, told_by=(source,)))
    return Gathered(tuple(allocations))


LISTS = ("gpuStatuses", "hostDeviceStatuses")
ATTRIBUTES = ("mDevUUID", "pciAddress")
"""A mediated device has both, and its address is its parent's."""


def from_vmi_status(vmi: Mapping[str, Any]) -> Gathered:
    """Gather the devices that a VMI's status names."""
    allocations: list[Allocation] = []
    findings: list[Finding] = []
    for name, word in _devices(vmi):
        device = dialects.classify(word)
        source = f"{VMI_STATUS} {printable(name)}"
        allocations.append(Allocation(device, label=name, name=name, told_by=(source,)))
        findings += dialects.remarks([device], printable(name))
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
