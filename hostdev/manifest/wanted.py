"""What a command line says beside the devices."""

from __future__ import annotations

from typing import Any, NamedTuple

from hostdev.manifest.pool import By

Document = dict[str, Any]
REGISTRY = "registry.example"
"""Where no image is: to be replaced by whoever applies the documents."""


class Wanted(NamedTuple):
    """Names and numbers; None and empty: chosen for the user."""

    by: By | None = None
    resource: str = ""
    name: str = "passgate"
    namespace: str = "default"
    image: str = f"{REGISTRY}/passgate:latest"
    disk: str = f"{REGISTRY}/disk:latest"
    node: str = ""
    vlan: int | None = None
    vfs: int | None = None
    kubevirt: tuple[str, str] = ("kubevirt", "kubevirt")
    """Namespace and name of the KubeVirt object."""
    operator: str = "sriov-network-operator"
    """The namespace of the SR-IOV network operator."""
