"""Devices of resource claims (DRA): the metadata files that drivers put into the container (KEP-5304)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.finding import Finding
from domxml.text import listed, printable
from hostdev import jsontext
from hostdev.allocation import dialects
from hostdev.allocation.allocation import DRA, Allocation, Device, Gathered
from hostdev.findings.allocation import ALLOCATION_FILE_UNREADABLE, CLAIM_NOT_ONE_DEVICE

BASES = ("/var/run/kubernetes.io/dra-device-attributes", "/var/run/dra-device-attributes")
"""Where the files are; the second in KubeVirt 1.8.0 only."""
SUFFIX = "-metadata.json"
GROUP = "metadata.resource.k8s.io/"
VERSIONS = (f"{GROUP}v1beta1", f"{GROUP}v1alpha1")
ATTRIBUTES = ("mdevUUID", "resource.kubernetes.io/pciBusID")
"""What names the device. A mediated device has both, and its address is its parent's."""
NUMA = ("resource.kubernetes.io/numaNode", "numaNode")
"""The host's node that the device is on: standard since Kubernetes 1.37, and a driver's own before."""


class _Request(NamedTuple):
    """One request of one claim: …/CLAIM/REQUEST/DRIVER-metadata.json."""

    directory: str
    claim: str
    name: str

    @property
    def subject(self) -> str:
        return printable(f"{self.claim}/{self.name}")


def from_metadata(files: Mapping[str, bytes]) -> Gathered:
    """Read the metadata files, by path; what else lies there is passed over."""
    requests: dict[_Request, list[bytes]] = {}
    for path in sorted(files):
        directory, _, name = path.rpartition("/")
        parts = directory.split("/")
        if name.endswith(SUFFIX) and len(parts) > 1:
            requests.setdefault(_Request(directory, parts[-2], parts[-1]), []).append(files[path])
    allocations: list[Allocation] = []
    findings: list[Finding] = []
    for request, contents in requests.items():
        devices = _devices(request, contents, findings)
        findings += dialects.remarks(devices, request.subject)
        label, source = f"{request.claim}/{request.name}", f"{DRA} {request.subject}"
        given = [Allocation(device, label=label, told_by=(source,), numa=numa) for device, numa in devices.items()]
        allocations += given
    return Gathered(tuple(allocations), tuple(findings))


def _devices(request: _Request, contents: Sequence[bytes], findings: list[Finding]) -> dict[Device, int | None]:
    """The devices of a request, and their NUMA nodes; it is told if they are not exactly one."""
    entries: list[Mapping[str, Any]] = []
    for content in contents:
        try:
            entries += _entries(request, content)
        except ValueError as error:
            findings.append(ALLOCATION_FILE_UNREADABLE.found(request.subject, printable(str(error))))
            return {}
    words = [_words(entry) for entry in entries]
    named = list(zip(entries, words, strict=True))
    nameless = [jsontext.string(entry.get("name")) for entry, found in named if not found]
    several = [jsontext.string(entry.get("name")) for entry, found in named if len(found) > 1]
    trouble = []
    if len(contents) > 1:
        trouble.append(f"has metadata of {len(contents)} drivers")
    if len(entries) != 1:
        trouble.append(f"has {len(entries)} devices")
    if nameless:
        trouble.append(f"no {' or '.join(ATTRIBUTES)} for {printable(listed(nameless))}")
    if several:
        trouble.append(f"several {' or '.join(ATTRIBUTES)} for {printable(listed(several))}")
    if trouble:
        findings.append(CLAIM_NOT_ONE_DEVICE.found(request.subject, ", ".join(trouble)))
    devices: dict[Device, int | None] = {}
    for entry, found in named:
        for device in dialects.devices(found):
            devices.setdefault(device, _numa(entry))
    return devices


def _entries(request: _Request, content: bytes) -> Iterator[Mapping[str, Any]]:
    """The devices that one driver names for the request."""
    for entry in jsontext.items(_document(content).get("requests")):
        found = jsontext.mapping(entry)
        # An alternative of a prioritised list is written REQUEST/ALTERNATIVE.
        if jsontext.string(found.get("name")).partition("/")[0] == request.name:
            yield from map(jsontext.mapping, jsontext.items(found.get("devices")))


def _document(content: bytes) -> Mapping[str, Any]:
    """The first document of a version that is known; a driver writes the same in several, the newest first."""
    versions = []
    for document in map(jsontext.mapping, jsontext.stream(content.decode("utf-8-sig"))):
        version = jsontext.string(document.get("apiVersion"))
        if version in VERSIONS:
            return document
        versions.append(version or "none")
    if not versions:
        raise ValueError("is empty: the driver has not written it yet")
    raise ValueError(f"no version that is known, only {listed(versions)}")


def _words(device: Mapping[str, Any]) -> tuple[str, ...]:
    """What names the device; a list of more than one names none that KubeVirt would take."""
    attributes = jsontext.mapping(device.get("attributes"))
    values = (_texts(jsontext.mapping(attributes.get(name))) for name in ATTRIBUTES)
    return next((found for found in values if found), ())


def _texts(attribute: Mapping[str, Any]) -> tuple[str, ...]:
    """One string, or since v1beta1 a list of them."""
    found = (attribute.get("string"), *jsontext.items(attribute.get("strings")))
    return tuple(text for value in found if (text := jsontext.string(value)))


def _numa(device: Mapping[str, Any]) -> int | None:
    attributes = jsontext.mapping(device.get("attributes"))
    values = (jsontext.mapping(attributes.get(name)).get("int") for name in NUMA)
    return next((value for value in values if type(value) is int and value >= 0), None)
