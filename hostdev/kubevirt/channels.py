"""The devices that a VM's pod brings: those that are told, and as many assumed ones as it asks for beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from hostdev.allocation.allocation import ENVIRONMENT, Allocation, Gathered, merge
from hostdev.allocation.environment import from_environment
from hostdev.allocation.network_info import from_network_info
from hostdev.inject.vmplan import resources
from hostdev.kubevirt.admission import Cluster
from hostdev.kubevirt.hostdevices import is_claimed
from hostdev.kubevirt.pod import Pod, variable
from hostdev.kubevirt.spec import Spec, get_text
from hostdev.vmi.annotations import requests
from hostdev.vmi.vmi import Vmi

ASSUMED_DOMAIN = 0xFFFF
"""The PCI domain of host devices that nothing names: no host has it."""
_PLUGIN = ("PCI_RESOURCE", "MDEV_PCI_RESOURCE", "USB_RESOURCE")


class Given(NamedTuple):
    """What a user knows of the pod."""

    environment: Mapping[str, str] = MappingProxyType({})
    """Variables of device plugins, as the compute container and the allocation file have them."""
    network_info: bytes = b""


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


def is_assumed(device: HostDevice) -> bool:
    """Whether no channel named it."""
    return isinstance(device, PciAddress) and device.domain == ASSUMED_DOMAIN


def bring(spec: Spec, vmi: Vmi, given: Given, cluster: Cluster, cells: Mapping[str, int]) -> Brought:
    """Join what is known of the pod with what has to be assumed of it."""
    addresses, assumed = _Addresses(), []
    environment = dict(given.environment)
    for key in ("hostDevices", "gpus"):
        plugged = Counter(get_text(one, "deviceName") for one in spec.listed(key) if one.get("deviceName"))
        for resource, count in plugged.items():
            if not any(variable(prefix, resource) in environment for prefix in _PLUGIN):
                environment[variable(_PLUGIN[0], resource)] = ",".join(str(addresses.take()) for _ in range(count))
                assumed.append(f"{resource}: {_devices(count)} by KubeVirt, taken for PCI devices")
    claims: dict[str, HostDevice] = {}
    for one in (*spec.listed("hostDevices"), *spec.listed("gpus")):
        if is_claimed(one):
            claims[get_text(one, "name")] = addresses.take()
            assumed.append(f"{get_text(one, 'name')}: a device by a claim, taken for a PCI device")
    networks, told = _networks(given.network_info)
    for name in _unnamed_networks(spec, networks):
        networks[name] = str(addresses.take())
        assumed.append(f"interface {name}: a virtual function")
    told = merge(told, from_environment(given.environment, resources(vmi), channel=ENVIRONMENT))
    missing = tuple(_missing(vmi, told, addresses))
    counts = Counter(allocation.resource for allocation in missing)
    assumed += [f"{resource}: {_devices(count)} for the sidecar" for resource, count in counts.items()]
    pod = Pod(environment, networks, claims, cluster.attachments, cluster.bochs, cells)
    return Brought(pod, merge(told, Gathered(missing)), tuple(assumed))


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"


def _networks(text: bytes) -> tuple[dict[str, str], Gathered]:
    if not text.strip():
        return {}, Gathered()
    told = from_network_info(text)
    return {one.name: str(one.device) for one in told.allocations if isinstance(one.device, PciAddress)}, told


def _unnamed_networks(spec: Spec, networks: Mapping[str, str]) -> Iterator[str]:
    # Network information that is given is whole: a VF that it does not name is not there.
    if networks:
        return
    for interface in spec.listed("interfaces"):
        if "sriov" in interface:
            yield get_text(interface, "name")


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
