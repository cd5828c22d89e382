"""The devices that a VM will have on one node: what its pod was granted there, and what is named outright."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from hostdev.allocation.values import Allocation
from hostdev.holding import joining
from hostdev.kubelet.grant import Grant
from hostdev.machine import Machine
from hostdev.vmi.annotations import requests
from hostdev.vmi.jsonvalue import JsonObject
from hostdev.vmi.vmi import CODE, Vmi


def pods_of(vmi: Vmi, node: str) -> frozenset[str]:
    """The UIDs of the VM's pods on a node; a VM that migrates has pods on two. Without a node's name: all."""
    active = JsonObject(vmi.status, "status", CODE).get_texts("activePods")
    return frozenset(uid for uid, place in active.items() if node in {"", place})


def may_have_devices(vmi: Vmi) -> bool:
    """Whether its spec or its author asks for any; a resource that only a network's definition names is SR-IOV's."""
    return vmi.has_vfio or bool(vmi.limits) or bool(requests(vmi))


def devices_of(
    vmi: Vmi, grants: Iterable[Grant], claimed: Iterable[Allocation], machine: Machine
) -> tuple[HostDevice, ...]:
    """Each device once. `claimed` are those that other channels than kubelet's grants tell."""
    resources = _resources(vmi)
    granted = [
        joined.device
        for grant in grants
        if resources is None or grant.resource in resources or _is_network(vmi, grant.resource)
        for joined in joining.devices(grant, machine)
    ]
    told = [one.device for one in claimed if isinstance(one.device, PciAddress | Mdev)]
    return tuple(dict.fromkeys((*granted, *told, *outright(vmi))))


def outright(vmi: Vmi) -> tuple[HostDevice, ...]:
    """What the VM's author names by address."""
    return tuple(request.address for request in requests(vmi) or () if request.address is not None)


def _resources(vmi: Vmi) -> Collection[str] | None:
    """The resources whose devices get into the guest: those asked for by annotation and by spec; None means all."""
    asked = requests(vmi)
    if asked is None:
        return None
    return {request.resource for request in asked} | {device.resource for device in vmi.devices}


def _is_network(vmi: Vmi, resource: str) -> bool:
    """Whether a resource is that of SR-IOV networks: no spec names it, the network's definition does.

    Where other bindings use Multus networks too, their devices may stay on the host's driver: nobody can tell.
    """
    networks = [interface for interface in vmi.interfaces if interface.definition]
    return bool(networks) and all(one.is_sriov for one in networks) and resource not in vmi.asked
