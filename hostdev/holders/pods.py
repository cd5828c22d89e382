"""One device for one pod: what kubelet granted to two, and the devices of each VM's pod."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from domxml.text import listed, printable
from hostdev.allocation.allocation import Allocation
from hostdev.findings.holders import GRANTED_TWICE
from hostdev.holders.claim import name_grant
from hostdev.holders.grants import Joined, devices_of_grant
from hostdev.inventory.machine import Machine
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.jsonutil import JsonObject
from hostdev.kubelet.checkpoint import Grant
from hostdev.vmi.annotations import requests
from hostdev.vmi.vmi import CODE, Vmi

RECORD = "kubelet_internal_checkpoint"


def granted_twice(grants: Iterable[Grant], machine: Machine) -> tuple[Finding, ...]:
    """A finding for each device, or IOMMU group, that pods share without knowing."""
    grants_of: dict[str, list[tuple[Joined, Grant]]] = defaultdict(list)
    for grant in grants:
        for joined in devices_of_grant(grant, machine):
            subject = _subject(joined.device, machine)
            grants_of[subject].append((joined, grant))
    shared = {what: found for what, found in grants_of.items() if len({grant.pod_uid for _, grant in found}) > 1}
    return tuple(_finding(what, found) for what, found in sorted(shared.items()))


def held_by_others(grants: Iterable[Grant], pods: Collection[str], machine: Machine) -> Mapping[PciAddress | str, str]:
    """The devices granted to other pods than these, mediated ones by UUID, and to whom."""
    held: dict[PciAddress | str, str] = {}
    for grant in grants:
        if grant.pod_uid not in pods:
            for joined in devices_of_grant(grant, machine):
                who = f"{_pod(grant)}, granted as {_granted(grant, joined)}"
                held.setdefault(joined.device.uuid if isinstance(joined.device, Mdev) else joined.device, who)
    return held


def _subject(device: PciAddress | Mdev, machine: Machine) -> str:
    """The unit that has one owner: on a vfio driver the whole IOMMU group, elsewhere the device."""
    function = machine.functions.get(device) if isinstance(device, PciAddress) else None
    group = machine.group_of(function.address) if function and is_on_vfio(function) else None
    return f"group {group.number}" if group and len(group.members) > 1 else str(device)


def _finding(what: str, found: Iterable[tuple[Joined, Grant]]) -> Finding:
    pods = listed(dict.fromkeys(f"{_pod(grant)} ({_granted(grant, joined)})" for joined, grant in found))
    evidence = tuple(
        Evidence(
            f"claim {grant.claim}" if grant.claim else RECORD,
            f"{grant.pod_uid} {grant.container} {grant.resource}: {joined.device}",
        )
        for joined, grant in found
    )
    return GRANTED_TWICE.found(what, f"is granted to {pods}", evidence=evidence)


def _pod(grant: Grant) -> str:
    return f"pod {printable(grant.pod_uid)}" if grant.pod_uid else "a pod that is not known"


def _granted(grant: Grant, joined: Joined) -> str:
    return name_grant(printable(grant.resource), joined.unit, grant.claim)


def pods_of(vmi: Vmi, node: str) -> frozenset[str]:
    """The UIDs of the VM's pods on a node; a VM that migrates has pods on two. Without a node's name: all."""
    active = JsonObject(vmi.status, "status", CODE).get_texts("activePods")
    return frozenset(uid for uid, place in active.items() if node in {"", place})


def may_have_devices(vmi: Vmi) -> bool:
    """Its spec or its author asks for devices; a resource that only a network's definition names is SR-IOV's."""
    return vmi.has_vfio or bool(vmi.limits) or bool(requests(vmi))


def devices_of(
    vmi: Vmi, grants: Iterable[Grant], claimed: Iterable[Allocation], machine: Machine
) -> tuple[HostDevice, ...]:
    """Each device once. `claimed` are those that other channels than kubelet's grants tell."""
    resources = _resources(vmi)
    granted = [
        joined.device
        for grant in grants
        if resources is None or grant.claim or grant.resource in resources or _is_network(vmi, grant.resource)
        for joined in devices_of_grant(grant, machine)
    ]
    told = [one.device for one in claimed if isinstance(one.device, PciAddress | Mdev)]
    return tuple(dict.fromkeys((*granted, *told, *outright_devices(vmi))))


def outright_devices(vmi: Vmi) -> tuple[HostDevice, ...]:
    """The devices that the VM's author names by address."""
    return tuple(request.address for request in requests(vmi) or () if request.address is not None)


def _resources(vmi: Vmi) -> Collection[str] | None:
    """The resources whose devices get into the guest: those asked for by annotation and by spec; None means all."""
    asked = requests(vmi)
    if asked is None:
        return None
    return {request.resource for request in asked} | {device.resource for device in vmi.devices}


def _is_network(vmi: Vmi, resource: str) -> bool:
    """Whether a resource is that of SR-IOV networks: no spec names it, the network's definition does.

    Where other bindings use Multus networks too, their devices may stay on the host's driver: this cannot be told.
    """
    networks = [interface for interface in vmi.interfaces if interface.definition]
    return bool(networks) and all(one.is_sriov for one in networks) and resource not in vmi.asked
