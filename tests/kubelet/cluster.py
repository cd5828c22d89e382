"""What kubelet asks of the API server for dynamic resource allocation, and a cluster of objects in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from tests.apiserver.status import Refusal
from tests.apiserver.storage import Storage

Object: TypeAlias = Mapping[str, Any]


class Cluster(Protocol):
    """The API server, as far as kubelet's manager of claims needs it."""

    def find_claim(self, namespace: str, name: str) -> Object | None:
        """A ResourceClaim as it is now."""

    def wipe_slices(self, driver: str = "") -> None:
        """Remove the node's ResourceSlices, of one driver or of all."""


class Objects:
    """A cluster whose claims a test sets."""

    def __init__(self, *claims: Object) -> None:
        self.claims = {_key(claim): claim for claim in claims}
        self.wiped: list[str] = []
        """Whose slices were removed; empty is everybody's."""

    def find_claim(self, namespace: str, name: str) -> Object | None:
        return self.claims.get((namespace, name))

    def wipe_slices(self, driver: str = "") -> None:
        self.wiped.append(driver)

    def add(self, claim: Object) -> None:
        """Make it, or change it."""
        self.claims[_key(claim)] = claim

    def remove(self, name: str, namespace: str = "default") -> None:
        """It is gone."""
        self.claims.pop((namespace, name), None)


class StoredCluster:
    """The objects of the API server's double, as kubelet of a node sees and removes them."""

    def __init__(self, storage: Storage, node: str) -> None:
        self._storage, self._node = storage, node

    def find_claim(self, namespace: str, name: str) -> Object | None:
        try:
            return self._storage.get("resourceclaims", name, namespace)
        except Refusal:
            return None

    def wipe_slices(self, driver: str = "") -> None:
        def is_meant(one: Object) -> bool:
            spec = one["spec"]
            return spec.get("nodeName") == self._node and driver in {"", spec["driver"]}

        self._storage.delete_all("resourceslices", is_meant)


def _key(claim: Object) -> tuple[str, str]:
    return claim["metadata"]["namespace"], claim["metadata"]["name"]


def claim_object(name: str, uid: str, pods: Mapping[str, str], *devices: str, driver: str, pool: str = "vm") -> Object:
    """An allocated claim: `request=device`, in the order of its results; pods by name, with their UIDs."""
    pairs = (one.partition("=") for one in devices)
    results = [{"request": request, "driver": driver, "pool": pool, "device": name} for request, _, name in pairs]
    reserved = [{"resource": "pods", "name": pod, "uid": uid} for pod, uid in pods.items()]
    return {
        "metadata": {"name": name, "namespace": "default", "uid": uid},
        "status": {"allocation": {"devices": {"results": results}}, "reservedFor": reserved},
    }
