"""What scheduler and controllers make of claims: allocated with a finalizer, reserved for pods, empty when unused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.apiserver.storage import BORN, Object, Storage

FINALIZER = "resource.kubernetes.io/delete-protection"
POD_CLAIM = "resource.kubernetes.io/pod-claim-name"


def allocate(storage: Storage, claim: Object, results: Sequence[Object], config: Sequence[Object] = ()) -> Object:
    """The scheduler chose devices: `results` are request, driver, pool and device of each."""
    pool = results[0]["pool"]
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [pool]}]}]
    devices: Object = {"results": list(results), **({"config": list(config)} if config else {})}
    claim["metadata"]["finalizers"] = [FINALIZER]
    claim["status"] = {
        "allocation": {
            "devices": devices,
            "nodeSelector": {"nodeSelectorTerms": terms},
            "allocationTimestamp": BORN,
        }
    }
    return _update(storage, claim)


def reserve(storage: Storage, claim: Object, pod: str, uid: str) -> Object:
    """A pod is about to use it."""
    claim["status"].setdefault("reservedFor", []).append({"resource": "pods", "name": pod, "uid": uid})
    return _update(storage, claim)


def release(storage: Storage, claim: Object, uid: str) -> Object:
    """A pod has ended: the last one takes allocation and finalizer with it."""
    status = claim["status"]
    status["reservedFor"] = [one for one in status["reservedFor"] if one["uid"] != uid]
    if not status["reservedFor"]:
        del claim["status"]
        claim["metadata"].pop("finalizers")
    return _update(storage, claim)


def claim_of(name: str, request: str, device_class: str, pod_claim: str = "") -> dict[str, Any]:
    """A claim for one device, as its author or the controller writes it."""
    exactly = {"deviceClassName": device_class}
    metadata: Object = {"name": name} | ({"annotations": {POD_CLAIM: pod_claim}} if pod_claim else {})
    return {"metadata": metadata, "spec": {"devices": {"requests": [{"name": request, "exactly": exactly}]}}}


def _update(storage: Storage, claim: Object) -> Object:
    return storage.update("resourceclaims", claim, claim["metadata"]["namespace"])
