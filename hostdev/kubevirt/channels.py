"""The devices that a VM's pod brings: those that are told, and as many assumed ones as it asks for beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from hostdev.allocation.allocation import ENVIRONMENT, NETWORK_INFO, Allocation, Gathered, merge
from hostdev.allocation.environment import from_environment
from hostdev.allocation.network_info import from_network_info
from hostdev.inject.hook import Launcher
from hostdev.inject.vmplan import resources
from hostdev.kubevirt.admission import Beside, Cluster
from hostdev.kubevirt.changes import NUMA_PLACEMENT
from hostdev.kubevirt.hostdevices import is_claimed
from hostdev.kubevirt.pod import Pod, variable
from hostdev.kubevirt.releases import Release
from hostdev.kubevirt.spec import Spec, get_map, get_text
from hostdev.vmi.annotations import requests
from hostdev.vmi.vmi import Vmi

if TYPE_CHECKING:
    from hostdev.inventory.machine import Machine

ASSUMED_DOMAIN = 0xFFFF
"""The PCI domain of host devices that nothing names: no host has it."""
OWN_PLUGIN = "passgate"
"""The network binding plugin whose interfaces the sidecar passes."""
_NUMA_GATE = "PCINUMAAwareTopology"
_PLUGIN = ("PCI_RESOURCE", "MDEV_PCI_RESOURCE", "USB_RESOURCE")


class Given(NamedTuple):
    """What a user knows of the pod."""

    environment: Mapping[str, str] = MappingProxyType({})
    """Variables of device plugins, as the compute container and the allocation file have them."""
    network_info: bytes = b""
    owners: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """The resources of a variable, where an allocation file tells."""


class Asked(NamedTuple):
    """What a plan is made for, beside the VM."""

    release: Release
    given: Given = Given()
    cluster: Cluster = Cluster()
    beside: Beside = Beside()
    machine: Machine | None = None
    sidecar: bool = True
    launcher: Launcher = Launcher()
    cells: Mapping[str, int] = MappingProxyType({})
    """The guest cell of each host device, with KubeVirt's NUMA placement."""
    allowed: frozenset[str] = frozenset()
    """Findings of the gate that stop no plan."""


class Brought(NamedTuple):
    """What virt-launcher finds, and what the sidecar does."""

    pod: Pod
    gathered: Gathered
    assumed: tuple[str, ...] = ()
    """What is assumed, in words."""


class _Addresses:
    """Addresses of devices that are only assumed, each given once."""

    def __init__(self) -> None:
        self.last = 0

    def take(self) -> PciAddress:
        self.last += 1
        return PciAddress(ASSUMED_DOMAIN, self.last >> 5, self.last & 0x1F, 0)


def is_assumed(device: object) -> bool:
    """Whether no channel named it."""
    return isinstance(device, PciAddress) and device.domain == ASSUMED_DOMAIN


def bring(spec: Spec, vmi: Vmi, asked: Asked) -> Brought:
    """Join what is known of the pod with what has to be assumed of it."""
    addresses, assumed = _Addresses(), list[str]()
    environment = dict(asked.given.environment)
    environment |= dict(_plugged(spec, environment, addresses, assumed))
    claims: dict[str, HostDevice] = {}
    for one in (*spec.listed("hostDevices"), *spec.listed("gpus")):
        if is_claimed(one):
            claims[get_text(one, "name")] = addresses.take()
            assumed.append(f"{get_text(one, 'name')}: a device by a claim, taken for a PCI device")
    networks, told = _networks(asked.given.network_info)
    by_network = []
    for name, by_kubevirt in _unnamed_networks(spec, vmi, networks):
        device = addresses.take()
        if by_kubevirt:
            networks[name] = str(device)
        else:
            by_network.append(Allocation(device, label=name, name=name, told_by=(f"{NETWORK_INFO} {name}",)))
        assumed.append(f"interface {name}: a virtual function")
    given = asked.given
    variables = from_environment(given.environment, resources(vmi), channel=ENVIRONMENT, owners=given.owners)
    told = merge(told, Gathered(tuple(by_network)), variables)
    missing = tuple(_missing(vmi, told, addresses))
    counts = Counter(allocation.resource for allocation in missing)
    assumed += [f"{resource}: {_devices(count)} for the sidecar" for resource, count in counts.items()]
    if not asked.cells and _is_placed_by_node(spec, asked.release, asked.cluster):
        assumed.append(f"the feature gate {_NUMA_GATE} puts host devices behind expander buses: taken for closed")
    pod = Pod(environment, networks, claims, asked.cluster.attachments, asked.cluster.bochs, asked.cells)
    return Brought(pod, merge(told, Gathered(missing)), tuple(assumed))


def _plugged(
    spec: Spec, environment: Mapping[str, str], addresses: _Addresses, assumed: list[str]
) -> Iterator[tuple[str, str]]:
    """Variables for plug-in devices of the spec that none names."""
    for key in ("hostDevices", "gpus"):
        wanted = Counter(get_text(one, "deviceName") for one in spec.listed(key) if one.get("deviceName"))
        for resource, count in wanted.items():
            if not any(variable(prefix, resource) in environment for prefix in _PLUGIN):
                yield variable(_PLUGIN[0], resource), ",".join(str(addresses.take()) for _ in range(count))
                assumed.append(f"{resource}: {_devices(count)} by KubeVirt, taken for PCI devices")


def _is_placed_by_node(spec: Spec, release: Release, cluster: Cluster) -> bool:
    """Whether KubeVirt may put host devices onto their NUMA nodes: which these are, only the node tells."""
    dedicated = get_map(spec.domain, "cpu").get("dedicatedCpuPlacement") is True
    passed = spec.listed("gpus") or spec.listed("hostDevices") or any("sriov" in i for i in spec.listed("interfaces"))
    may_be = dedicated and bool(passed) and spec.architecture != "s390x" and NUMA_PLACEMENT.holds(release)
    return may_be and cluster.has_gate(_NUMA_GATE) is not False


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"


def _networks(text: bytes) -> tuple[dict[str, str], Gathered]:
    if not text.strip():
        return {}, Gathered()
    told = from_network_info(text)
    return {one.name: str(one.device) for one in told.allocations if isinstance(one.device, PciAddress)}, told


def _unnamed_networks(spec: Spec, vmi: Vmi, networks: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Interfaces for which a VF comes that nothing names, and whether it is KubeVirt that passes it."""
    # Network information that is given is whole: a VF that it does not name is not there.
    if networks:
        return
    asked = {request.device for request in requests(vmi) or ()}
    for interface in spec.listed("interfaces"):
        name = get_text(interface, "name")
        if "sriov" in interface:
            yield name, True
        elif "binding" in interface and (name in asked or get_text(interface, "binding", "name") == OWN_PLUGIN):
            yield name, False


def _missing(vmi: Vmi, told: Gathered, addresses: _Addresses) -> Iterator[Allocation]:
    """Devices that the limits or the requests promise, and that no channel names."""
    named = Counter(one.resource for one in told.allocations)
    families = {one.family for one in told.allocations if one.family and not one.resource}
    for resource, count in _promised(vmi).items():
        if resource.partition("/")[0] in families:
            continue
        for _ in range(count - named[resource]):
            source = f"{ENVIRONMENT} {variable('PCIDEVICE', resource)}"
            yield Allocation(addresses.take(), resource, resource, told_by=(source,))


def _promised(vmi: Vmi) -> Mapping[str, int]:
    promised = Counter(dict(vmi.device_limits))
    for request in requests(vmi) or ():
        if request.resource:
            promised[request.resource] = max(promised[request.resource], request.quantity or 1)
    for device in vmi.devices:
        # These are KubeVirt's to pass.
        promised.pop(device.resource, None)
    return promised
