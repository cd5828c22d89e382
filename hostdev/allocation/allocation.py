"""What was given: devices, and allocations with all who tell of them, joined by how far each channel is trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from domxml.alias import natural_order
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.source import Mdev
from domxml.text import listed, printable
from hostdev.findings.allocation import CHANNELS_DISAGREE, DEVICE_IN_TWO_RESOURCES

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
    """What it is, such as `auxiliary device`; empty: unknown."""

    def __str__(self) -> str:
        return self.text


Device: TypeAlias = PciAddress | Mdev | Usb | Opaque


class Allocation(NamedTuple):
    """One device that was given to the pod, and what says so."""

    device: Device
    resource: str = ""
    """The device-plugin resource; empty where the channel does not tell."""
    label: str = ""
    """A device without a name is named after it: the resource if it is known."""
    name: str = ""
    """The name in the VM's spec (a GPU, a host device, a network), where the channel knows it."""
    told_by: tuple[str, ...] = ()
    """Such as `environment QAT0` or `domain ua-gpu-gpu1`, the most trusted first."""
    family: str = ""
    """Such as `qat.intel.com`: it may be the device of any resource `qat.intel.com/…`."""
    numa: int | None = None
    """The host's NUMA node that it is on, where the channel knows it."""


class Gathered(NamedTuple):
    """Allocations from all channels, and what was noticed on the way."""

    allocations: tuple[Allocation, ...] = ()
    findings: tuple[Finding, ...] = ()
    looked_at: tuple[str, ...] = ()
    """The channels, with what each of them held."""
    grants: Mapping[str, int] = MappingProxyType({})
    """How many devices of a resource kubelet gave, where a channel tells."""


def unite(allocations: Iterable[Allocation]) -> list[Allocation]:
    """One allocation a device, in the order in which the devices first appear; what comes first is believed first."""
    said: dict[Device, list[Allocation]] = {}
    for allocation in allocations:
        said.setdefault(allocation.device, []).append(allocation)
    return [_united(words) for words in said.values()]


def _united(said: Sequence[Allocation]) -> Allocation:
    """Join what is said of one device: each field from the first that knows it."""
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


def merge(*gathered: Gathered) -> Gathered:
    """Join by device: every source is kept, the most trusted tells the rest; the devices of a list keep its order."""
    # In whichever order the channels come, the outcome is the same.
    told = sorted(gathered, key=repr)
    allocations = [allocation for one in told for allocation in one.allocations]
    joined = unite(sorted(allocations, key=_foremost))
    findings = [finding for one in told for finding in one.findings]
    findings += [*_twice_given(allocations), *_disagreements(joined)]
    grants = {resource: count for one in told for resource, count in one.grants.items()}
    looked_at = tuple(words for one in gathered for words in one.looked_at)
    return Gathered(tuple(joined), _each_once(findings), looked_at, grants)


def _foremost(allocation: Allocation) -> tuple[int, tuple[object, ...]]:
    """Sort key: how far the best source of an allocation is trusted."""
    return trust(allocation.told_by[0] if allocation.told_by else "")


def _twice_given(allocations: Sequence[Allocation]) -> Iterator[Finding]:
    resources: dict[Device, dict[str, str]] = {}
    for allocation in sorted(allocations, key=_foremost):
        if allocation.resource:
            where = allocation.told_by[0] if allocation.told_by else "unknown"
            resources.setdefault(allocation.device, {}).setdefault(allocation.resource, where)
    for device, found in resources.items():
        if len(found) > 1:
            text = "is in " + listed(f"{resource} ({where})" for resource, where in found.items())
            yield DEVICE_IN_TWO_RESOURCES.found(str(device), text)


def _disagreements(allocations: Sequence[Allocation]) -> Iterator[Finding]:
    """Only these two channels tell all devices of a resource; the others may know some of them."""
    told: dict[str, dict[str, set[Device]]] = {}
    for allocation in allocations:
        what = allocation.resource or allocation.family or allocation.label
        for channel in {channel_of(source) for source in allocation.told_by}:
            told.setdefault(what, {}).setdefault(channel, set()).add(allocation.device)
    for what, channels in told.items():
        file, own = channels.get(ALLOCATION_FILE), channels.get(ENVIRONMENT)
        if file and own and file != own:
            text = f"the {ALLOCATION_FILE} names {_shown(file)}, the {ENVIRONMENT} {_shown(own)}"
            yield CHANNELS_DISAGREE.found(printable(what), text)


def _shown(devices: Iterable[Device]) -> str:
    return listed(sorted(map(str, devices)))


def _each_once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Two channels may tell the same; the worst comes first."""
    once: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        once.setdefault((finding.code, finding.subject, finding.message), finding)
    return tuple(sorted(once.values(), key=lambda finding: (-finding.severity.rank, finding)))
