"""What was given: devices, and allocations with all who tell of them; channels by how far each is trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from domxml.alias import natural_order
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.source import Mdev

DOMAIN = "domain"
ALLOCATION_FILE = "allocation file"
ENVIRONMENT = "environment"
NETWORK_INFO = "network-info"
DRA = "dra"
VMI_STATUS = "vmi status"

TRUST = (DOMAIN, ALLOCATION_FILE, ENVIRONMENT, NETWORK_INFO, DRA, VMI_STATUS)
"""The best first. A source starts with its channel: `allocation file PCI_RESOURCE_INTEL_COM_QAT`."""


def channel_of(source: str) -> str:
    """The channel of a source; empty where it is none of ours."""
    return next((channel for channel in TRUST if source.startswith(f"{channel} ")), "")


def trust(source: str) -> tuple[int, tuple[object, ...]]:
    """Sort key: the trusted channels first; within one, QAT2 comes before QAT10."""
    channel = channel_of(source)
    return TRUST.index(channel) if channel else len(TRUST), natural_order(source)


class Usb(NamedTuple):
    """A USB device by bus and device number; KubeVirt passes it by itself."""

    bus: int
    device: int

    def __str__(self) -> str:
        return f"{self.bus}:{self.device}"


class Opaque(NamedTuple):
    """A device that VFIO cannot pass, or a name that is none at all."""

    text: str
    """As it can be printed."""
    kind: str = ""
    """What it is, such as `auxiliary device`; empty: nobody knows."""

    def __str__(self) -> str:
        return self.text


Device: TypeAlias = PciAddress | Mdev | Usb | Opaque


class Allocation(NamedTuple):
    """One device that was given to the pod, and who says so."""

    device: Device
    resource: str = ""
    """The device-plugin resource; empty where the channel does not tell."""
    label: str = ""
    """What to name a device after that nobody named: the resource if it is known."""
    name: str = ""
    """The name in the VM's spec (a GPU, a host device, a network), where the channel knows it."""
    told_by: tuple[str, ...] = ()
    """Such as `environment QAT0` or `domain ua-gpu-gpu1`, the most trusted first."""
    family: str = ""
    """Such as `qat.intel.com`: it may be the device of any resource `qat.intel.com/…`."""
    numa: int | None = None
    """The host's NUMA node that it is on, where the channel knows it."""


class Gathered(NamedTuple):
    """What was gathered, and what was noticed on the way."""

    allocations: tuple[Allocation, ...] = ()
    findings: tuple[Finding, ...] = ()
    looked_at: tuple[str, ...] = ()
    """The channels, with what each of them held."""
    grants: Mapping[str, int] = MappingProxyType({})
    """How many devices of a resource kubelet gave, where a channel tells."""


def unite(allocations: Iterable[Allocation]) -> list[Allocation]:
    """One allocation a device, in the order in which the devices first appear; who comes first is believed first."""
    said: dict[Device, list[Allocation]] = {}
    for allocation in allocations:
        said.setdefault(allocation.device, []).append(allocation)
    return [_united(words) for words in said.values()]


def _united(said: Sequence[Allocation]) -> Allocation:
    """Each field from the first who knows it."""
    sources = sorted({source for one in said for source in one.told_by}, key=trust)
    return Allocation(
        said[0].device,
        resource=_first(one.resource for one in said),
        label=_first(one.label for one in said if one.resource) or _first(one.label for one in said),
        name=_first(one.name for one in said),
        told_by=tuple(sources),
        family=_first(one.family for one in said),
        numa=next((one.numa for one in said if one.numa is not None), None),
    )


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
