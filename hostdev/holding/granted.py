"""Who was granted a device: kubelet's checkpoint and its PodResources API, as claims about one device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from hostdev.holding import joining
from hostdev.holding.claim import Claim, How
from hostdev.holding.joining import Joined
from hostdev.kubelet.grant import Grant
from hostdev.kubelet.podresources import PodDevices
from hostdev.machine import Machine, PciFunction
from hostdev.vfiodrivers import is_on_vfio

_NAMED = 3
"""The parts of a directory in /var/log/pods: namespace, name, UID."""


class Kubelet(NamedTuple):
    """What kubelet told. None: it could not be asked."""

    grants: tuple[Grant, ...] | None = None
    listed: tuple[PodDevices, ...] | None = None
    boot_id: str = ""
    """Of the boot in which the grants were written down."""
    alive: frozenset[str] | None = None
    """The UIDs of the pods that kubelet has directories of."""
    logs: tuple[str, ...] = ()
    """Names in /var/log/pods."""


def claims(function: PciFunction, machine: Machine, kubelet: Kubelet) -> Iterator[Claim]:
    """Every pod that a device was granted to, by both of kubelet's ways to tell."""
    uids = _uids(kubelet)
    for grant in kubelet.grants or ():
        for joined in _about(function, joining.devices(grant, machine), machine):
            yield Claim(
                How.CHECKPOINT,
                grant.resource,
                joined.by,
                pod=grant.pod_uid,
                container=grant.container,
                exact=joined.exact,
            )
    for entry in kubelet.listed or ():
        for joined in _about(function, _joined(entry, kubelet, machine), machine):
            yield Claim(
                How.PODRESOURCES,
                entry.resource,
                joined.by,
                pod=uids.get((entry.namespace, entry.pod)),
                namespace=entry.namespace,
                name=entry.pod,
                container=entry.container,
                exact=joined.exact,
            )


def names(kubelet: Kubelet) -> Mapping[str, tuple[str, str]]:
    """Namespace and name of pods by UID: of the directories of their logs, else of whoever lists the same devices."""
    listed: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for entry in kubelet.listed or ():
        for device in entry.device_ids:
            listed[entry.resource, device].add((entry.namespace, entry.pod))
    found: dict[str, tuple[str, str]] = {}
    for grant in kubelet.grants or ():
        pods = {pod for device in grant.device_ids for pod in listed[grant.resource, device]}
        if len(pods) == 1:
            found[grant.pod_uid] = pods.pop()
    for name in kubelet.logs:
        parts = name.split("_")
        if len(parts) == _NAMED:
            found[parts[2]] = (parts[0], parts[1])
    return MappingProxyType(found)


def _uids(kubelet: Kubelet) -> Mapping[tuple[str, str], str]:
    """The other way round; of pods of one name, as a StatefulSet makes them, the one that is alive."""
    return {pod: uid for uid, pod in names(kubelet).items() if kubelet.alive is None or uid in kubelet.alive}


def _joined(entry: PodDevices, kubelet: Kubelet, machine: Machine) -> Sequence[Joined]:
    """What the plugin's names stand for: the checkpoint may have the plugin's own answer for the same devices."""
    # Kubelet lists each device by itself, and grants all of a resource together.
    for grant in kubelet.grants or ():
        same = (grant.resource, grant.container) == (entry.resource, entry.container)
        if same and set(entry.device_ids) <= set(grant.device_ids):
            return joining.devices(grant, machine)
    return joining.named(entry.device_ids, machine)


def _about(function: PciFunction, granted: Sequence[Joined], machine: Machine) -> Sequence[Joined]:
    """What of a grant is the function, or a mediated device of it, or else of its IOMMU group: that has one owner."""
    own = [joined for joined in granted if _address(joined.device, machine) == function.address]
    if own or not is_on_vfio(function) or function.group is None:
        return own
    group = [joined for joined in granted if _group(joined.device, machine) == function.group]
    return [Joined(one.device, f"{one.by}, {one.device} of its group", exact=False) for one in group]


def _address(device: HostDevice, machine: Machine) -> PciAddress | None:
    if isinstance(device, Mdev):
        mdev = machine.mdevs.get(device.uuid)
        return mdev.parent if mdev else None
    return device


def _group(device: HostDevice, machine: Machine) -> int | None:
    function = None if isinstance(device, Mdev) else machine.functions.get(device)
    return function.group if function and is_on_vfio(function) else None
