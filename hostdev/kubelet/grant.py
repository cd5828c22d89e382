"""A grant: the devices of one resource that kubelet gave to one container."""

from __future__ import annotations

from typing import NamedTuple


class Grant(NamedTuple):
    """One entry of kubelet's checkpoint."""

    pod_uid: str
    container: str
    resource: str
    device_ids: tuple[str, ...]
    """As the device plugin names them: an address, an IOMMU group, anything. In kubelet's order."""
    environment: tuple[tuple[str, str], ...]
    """The variables that the device plugin gave the container."""
    nodes: tuple[str, ...]
    """Paths on the host of the device nodes that it gave."""
