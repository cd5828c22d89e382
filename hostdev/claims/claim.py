"""A ResourceClaim as the API server has it, and what of it is this driver's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.text import listed, printable
from hostdev.findings.claims import CLAIM_NOT_ALLOCATED, CLAIM_UNREADABLE, CLAIM_UNSUPPORTED
from hostdev.jsonutil import JsonObject, as_object
from hostdev.kubelet.claimrecords import DEVICE, NAME, REQUEST, UID, get_fitting

POD_CLAIM = "resource.kubernetes.io/pod-claim-name"
"""The annotation of a claim that a template made: what the pod calls it."""
CODE = CLAIM_UNREADABLE.code
_SHARED = {
    "shareID": "is a share of a device, and this driver offers none to be shared",
    "consumedCapacity": "consumes a part of a device, and this driver offers whole units alone",
    "adminAccess": "asks for admin access, beside the pod that has the device: a VFIO device has one owner",
}


class Result(NamedTuple):
    """A device that was allocated."""

    request: str
    """`REQUEST`, or `REQUEST/SUBREQUEST` of a prioritized list."""
    pool: str
    device: str


class AllocatedClaim(NamedTuple):
    """A claim, and the devices of this driver that are allocated for it."""

    uid: str
    namespace: str
    name: str
    pod_claim: str | None
    pods: tuple[tuple[str, str], ...]
    results: tuple[Result, ...]

    @property
    def subject(self) -> str:
        return f"claim {self.namespace}/{self.name}"


def read_claim(value: Any, driver: str) -> AllocatedClaim:
    """Read a claim; refuses one that is not allocated, or in a way that this driver cannot serve."""
    try:
        return _read(as_object(value, "", CODE), driver)
    except BadInput as error:
        raise CLAIM_UNREADABLE.refused("claim", error.what) from None


def is_allocated(value: Any, driver: str) -> bool:
    """Whether anything of this driver is allocated for it; of what cannot be read that is not ruled out."""
    try:
        results = as_object(value, "", CODE).get_object("status").get_object("allocation").get_object("devices")
        return any(one.get_str("driver") == driver for one in results.get_objects("results"))
    except BadInput:
        return True


def _read(claim: JsonObject, driver: str) -> AllocatedClaim:
    metadata, status = claim.get_object("metadata"), claim.get_object("status")
    annotations = metadata.get_object("annotations")
    devices = status.get_object("allocation").get_object("devices")
    found = AllocatedClaim(
        get_fitting(metadata, "uid", UID),
        get_fitting(metadata, "namespace", NAME),
        get_fitting(metadata, "name", NAME),
        get_fitting(annotations, POD_CLAIM, NAME) if annotations.has(POD_CLAIM) else None,
        tuple(_pods(status)),
        (),
    )
    if not status.has("allocation"):
        raise CLAIM_NOT_ALLOCATED.refused(found.subject, "nothing is allocated for it")
    results = tuple(_results(devices, driver, found.subject))
    if not results:
        raise CLAIM_NOT_ALLOCATED.refused(found.subject, f"no device of {driver} is allocated for it")
    _check_parameters(devices, driver, found.subject)
    return found._replace(results=results)


def _pods(status: JsonObject) -> Iterator[tuple[str, str]]:
    for consumer in status.get_objects("reservedFor"):
        if consumer.get_str("resource") == "pods" and not consumer.get_str("apiGroup"):
            yield get_fitting(consumer, "name", NAME), get_fitting(consumer, "uid", UID)


def _results(devices: JsonObject, driver: str, subject: str) -> Iterator[Result]:
    seen = set()
    for found in devices.get_objects("results"):
        if found.get_str("driver") != driver:
            continue
        result = Result(
            get_fitting(found, "request", REQUEST),
            get_fitting(found, "pool", NAME),
            get_fitting(found, "device", DEVICE),
        )
        why = next((what for key, what in _SHARED.items() if found.fields.get(key)), "")
        if why:
            raise CLAIM_UNSUPPORTED.refused(subject, f"request {result.request} {why}")
        if (result.pool, result.device) in seen:
            raise CLAIM_UNSUPPORTED.refused(subject, f"device {result.device} is allocated for it twice")
        seen.add((result.pool, result.device))
        yield result


def _check_parameters(devices: JsonObject, driver: str, subject: str) -> None:
    """Parameters of ours mean nothing: what is written and not heeded would be a promise that is not kept."""
    for config in devices.get_objects("config"):
        opaque = config.get_object("opaque")
        parameters = opaque.get_object("parameters").fields
        if opaque.get_str("driver") == driver and parameters:
            where = "its DeviceClass" if config.get_str("source") == "FromClass" else "the claim"
            keys = listed((printable(key) for key in sorted(parameters)), 4)
            raise CLAIM_UNSUPPORTED.refused(
                subject,
                f"{where} has parameters for {driver} ({keys}), and the driver knows none",
                f"take `opaque` out of `config` in {where}",
            )
