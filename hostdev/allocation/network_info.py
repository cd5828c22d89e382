"""The pod's network information, as KubeVirt's downward API shows it: which network has which device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from domxml.finding import Evidence, Finding
from domxml.text import printable
from hostdev import jsontext
from hostdev.allocation import dialects
from hostdev.allocation.allocation import NETWORK_INFO, Allocation, Device, Gathered, Opaque
from hostdev.findings.allocation import ALLOCATION_FILE_UNREADABLE, NETWORK_WITHOUT_DEVICE

PATH = "/etc/podinfo/network-info"
OLD_PATH = "/etc/podinfo/network-pci-map"
"""Before KubeVirt 1.3."""
VDPA = "vDPA device"


def from_network_info(data: bytes) -> Gathered:
    """Read network-info, or the older map from network to address; an empty file is one that is not there yet."""
    if not data.strip():
        return Gathered()
    try:
        document = jsontext.load_object(data.decode("utf-8-sig"))
    except ValueError as error:
        return Gathered(findings=(ALLOCATION_FILE_UNREADABLE.found(NETWORK_INFO, printable(str(error))),))
    allocations: list[Allocation] = []
    findings: list[Finding] = []
    for network, device, seen in _networks(document):
        source = f"{NETWORK_INFO} {printable(network)}"
        if device is None:
            evidence = (Evidence(source, printable(str(seen))),)
            findings.append(NETWORK_WITHOUT_DEVICE.found(printable(network), _missing(seen), evidence=evidence))
            continue
        allocations.append(Allocation(device, label=network, name=network, told_by=(source,)))
        findings += dialects.remarks([device], printable(network))
    return Gathered(tuple(allocations), tuple(findings))


def network_macs(data: bytes) -> dict[str, str]:
    """The MAC address of each network that has one; what cannot be read tells none."""
    try:
        document = jsontext.load_object(data.decode("utf-8-sig"))
    except ValueError:
        return {}
    entries = map(jsontext.mapping, jsontext.items(document.get("interfaces")))
    return {jsontext.string(entry.get("network")): jsontext.string(entry.get("mac")) for entry in entries}


def _networks(document: Mapping[str, Any]) -> Iterator[tuple[str, Device | None, object]]:
    """Each network, its device, and what is said of it."""
    interfaces = document.get("interfaces")
    if isinstance(interfaces, list):
        for entry in map(jsontext.mapping, interfaces):
            info = jsontext.mapping(entry.get("deviceInfo"))
            yield jsontext.string(entry.get("network")), _device(info), info
    else:
        for network, address in document.items():
            if address is not None:
                word = jsontext.string(address)
                yield network, dialects.classify(word) if word else None, address


def _device(info: Mapping[str, Any]) -> Device | None:
    if info.get("type") == "vdpa":
        vdpa = jsontext.mapping(info.get("vdpa"))
        name = jsontext.string(vdpa.get("parent-device")) or jsontext.string(vdpa.get("pci-address"))
        return Opaque(printable(name) or "without a name", VDPA)
    address = jsontext.string(jsontext.mapping(info.get("pci")).get("pci-address"))
    return dialects.classify(address) if address else None


def _missing(seen: object) -> str:
    return "its device information has no PCI address" if seen else "the pod has no device information for it"
