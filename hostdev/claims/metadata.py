"""What a container is told of the devices of a request: the metadata file of KEP-5304."""

from __future__ import annotations

import json
from typing import Any

from domxml.errors import BadInput
from hostdev import jsontext
from hostdev.allocation.dra import ATTRIBUTES, BASES, SUFFIX, VERSIONS
from hostdev.kubelet.claimrecords import ClaimRecord

DIRECTORY = "dra-device-metadata"
"""Below the driver's own directory in kubelet's."""
FILE = "metadata.json"
PCI_ADDRESS = ATTRIBUTES[-1]


def base_request(request: str) -> str:
    """The request that a pod can name: of a prioritized list not the alternative that was taken."""
    return request.partition("/")[0]


def list_requests(record: ClaimRecord) -> tuple[str, ...]:
    """The requests that have a file each."""
    return tuple(dict.fromkeys(base_request(one) for unit in record.units for one in unit.requests))


def claim_directory(namespace: str, name: str) -> str:
    """The directory of a claim's files, below `DIRECTORY`; no namespace has a `_`."""
    return f"{namespace}_{name}"


def container_path(record: ClaimRecord, request: str) -> str:
    """Where the container finds the file.

    KubeVirt looks for the name in the pod where the claim is a template's, and for the claim's own otherwise.
    """
    kind, name = (
        ("resourceclaims", record.name) if record.pod_claim is None else ("resourceclaimtemplates", record.pod_claim)
    )
    return f"{BASES[0]}/{kind}/{name}/{base_request(request)}/{record.driver}{SUFFIX}"


def render_metadata(record: ClaimRecord, request: str) -> bytes:
    """The file of a request: the same in each version, the newest first.

    A reader takes the first that it knows. Of a request with several devices all are told: KubeVirt, which takes one
    a request, refuses the VM then, and with one alone it would start without the others.
    """
    return b"".join(json.dumps(_document(record, request, version), indent=2).encode() + b"\n" for version in VERSIONS)


def _document(record: ClaimRecord, request: str, version: str) -> dict[str, Any]:
    pod_claim = {} if record.pod_claim is None else {"podClaimName": record.pod_claim}
    names = dict.fromkeys(name for unit in record.units for name in unit.requests if base_request(name) == request)
    return {
        "kind": "DeviceMetadata",
        "apiVersion": version,
        "metadata": {
            "name": record.name,
            "namespace": record.namespace,
            "uid": record.uid,
            "generation": record.generation,
        },
        **pod_claim,
        "requests": [{"name": name, "devices": _devices(record, name)} for name in names],
    }


def _devices(record: ClaimRecord, request: str) -> list[dict[str, Any]]:
    return [
        {
            "driver": record.driver,
            "pool": unit.pool,
            "name": unit.device,
            "attributes": {PCI_ADDRESS: {"string": str(unit.functions[0])}},
        }
        for unit in record.units
        if request in unit.requests
    ]


def claim_of(data: bytes) -> str | None:
    """The UID of the claim that a file tells of; None of what is no such file."""
    try:
        first = next(jsontext.stream(data.decode()), None)
    except (ValueError, BadInput):
        return None
    return jsontext.string(jsontext.mapping(jsontext.mapping(first).get("metadata")).get("uid")) or None
