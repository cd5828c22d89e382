"""What a VM's pod brings that the manifest does not say: host devices by channel, and how the cluster is set."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.source import HostDevice
from hostdev.allocation.dialects import resource_suffix

_NONE: Mapping[str, str] = MappingProxyType({})


class Pod(NamedTuple):
    """What virt-launcher finds when it converts."""

    environment: Mapping[str, str] = _NONE
    """Of the container `compute`."""
    networks: Mapping[str, str] = _NONE
    """The PCI address of each SR-IOV network, from network-info."""
    claims: Mapping[str, HostDevice] = MappingProxyType({})
    """What DRA gave, by the device's name in the spec."""
    attachments: Mapping[str, str] = _NONE
    """How each network binding plugin attaches: tap, managedTap or something else."""
    bochs: bool = True
    """UEFI guests on amd64 get a bochs display; an annotation of the KubeVirt CR takes that back."""
    cells: Mapping[str, int] = MappingProxyType({})
    """The guest cell of each host device, by its PCI address; empty without NUMA placement."""


class Pools:
    """What a kind of variable names for each resource; an address that is given is gone from all of them."""

    def __init__(self, environment: Mapping[str, str], prefix: str, resources: Iterable[str]) -> None:
        self._pools: dict[str, deque[str]] = {}
        self._taken: set[str] = set()
        for resource in resources:
            value = environment.get(variable(prefix, resource)) if resource else None
            if value is not None:
                self._pools[resource] = deque(filter(None, value.removesuffix(",").split(",")))

    def __bool__(self) -> bool:
        return bool(self._pools)

    def take(self, resource: str) -> str:
        """The next device of a resource; empty where there is none."""
        pool = self._pools.get(resource, deque())
        while pool:
            first = pool.popleft()
            if first not in self._taken:
                self._taken.add(first)
                return first
        return ""


def variable(prefix: str, resource: str) -> str:
    """The name under which a device plugin tells what it gave."""
    return f"{prefix}_{resource_suffix(resource)}"


def resources_of(entries: Collection[Mapping[str, object]]) -> list[str]:
    """The resources of GPUs or host devices of a spec."""
    return [name for entry in entries if isinstance(name := entry.get("deviceName"), str)]
