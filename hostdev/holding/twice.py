"""One device for one pod: what kubelet granted to two of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from domxml.source import Mdev
from domxml.text import listed, printable
from hostdev.catalogue.holding import GRANTED_TWICE
from hostdev.holding import joining
from hostdev.kubelet.grant import Grant
from hostdev.machine import Machine
from hostdev.vfiodrivers import is_on_vfio

RECORD = "kubelet_internal_checkpoint"


def granted_twice(grants: Iterable[Grant], machine: Machine) -> tuple[Finding, ...]:
    """A finding for each device, or IOMMU group, that pods share without knowing."""
    grants_of: dict[str, list[tuple[str, Grant]]] = defaultdict(list)
    for grant in grants:
        for joined in joining.devices(grant, machine):
            subject = _subject(joined.device, machine)
            grants_of[subject].append((str(joined.device), grant))
    shared = {what: found for what, found in grants_of.items() if len({grant.pod_uid for _, grant in found}) > 1}
    return tuple(_finding(what, found) for what, found in sorted(shared.items()))


def held_by_others(grants: Iterable[Grant], pods: Collection[str], machine: Machine) -> Mapping[PciAddress | str, str]:
    """The devices granted to other pods than these, mediated ones by UUID, and to whom."""
    held: dict[PciAddress | str, str] = {}
    for grant in grants:
        if grant.pod_uid not in pods:
            who = f"pod {printable(grant.pod_uid)}, granted as {printable(grant.resource)}"
            for joined in joining.devices(grant, machine):
                held.setdefault(joined.device.uuid if isinstance(joined.device, Mdev) else joined.device, who)
    return held


def _subject(device: PciAddress | Mdev, machine: Machine) -> str:
    """What has one owner: on a vfio driver the whole IOMMU group, elsewhere the device."""
    function = machine.functions.get(device) if isinstance(device, PciAddress) else None
    group = machine.group_of(function.address) if function and is_on_vfio(function) else None
    return f"group {group.number}" if group and len(group.members) > 1 else str(device)


def _finding(what: str, found: Iterable[tuple[str, Grant]]) -> Finding:
    pods = listed(dict.fromkeys(f"pod {printable(grant.pod_uid)} ({printable(grant.resource)})" for _, grant in found))
    evidence = tuple(
        Evidence(RECORD, f"{grant.pod_uid} {grant.container} {grant.resource}: {device}") for device, grant in found
    )
    return GRANTED_TWICE.found(what, f"is granted to {pods}", evidence=evidence)
