"""From what kubelet granted to host devices: plugins name theirs by address, by IOMMU group, by UUID or by nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from domxml.text import listed, printable
from hostdev.allocation import dialects
from hostdev.allocation.allocation import ENVIRONMENT
from hostdev.allocation.environment import from_environment
from hostdev.findings.offer import OFFER_RECORD_DIFFERS
from hostdev.holders.claim import Claim, How
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.places import find_primaries, is_id
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.claimgrants import claim_grants
from hostdev.kubelet.claimrecords import ClaimRecord
from hostdev.kubelet.podresources import PodDevices

_NODE = re.compile(r"/dev/vfio/(?:noiommu-)?([0-9]{1,9})", re.ASCII)
_CDEV = re.compile(r"/dev/vfio/devices/(vfio[0-9]{1,9})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


class Joined(NamedTuple):
    """One device that a grant, or a plugin's name for a device, stands for."""

    device: HostDevice
    by: str
    """What names it: `environment QAT0`, `device ID 0000:3d:02.2`, `/dev/vfio/43`."""
    exact: bool = True
    """Not where a group of several devices is named, and it may be any of them."""
    unit: str | None = None
    """The id of its unit, where kubelet has the ids of units."""


def devices_of_grant(grant: Grant, machine: Machine) -> tuple[Joined, ...]:
    """Each device once. The plugin's variables tell best, then its names; then the nodes of what neither told."""
    primaries = find_primaries(grant.device_ids, machine)
    found = _each_once((*_of_environment(grant), *_of_names(grant.device_ids), *_of_units(primaries)))
    known = {one.device for one in found}
    for node in grant.nodes:
        behind = tuple(_of_node(node, machine))
        if known.isdisjoint(one.device for one in behind):
            found += behind
    return _with_units(_each_once(found), primaries, machine)


def devices_of_ids(device_ids: Iterable[str], machine: Machine) -> tuple[Joined, ...]:
    """The devices behind the bare names that a plugin gives to its devices, with nothing else to go by."""
    ids = tuple(device_ids)
    primaries = find_primaries(ids, machine)
    found = _each_once((*_of_names(ids), *_of_units(primaries), *_of_groups(ids, machine)))
    return _with_units(found, primaries, machine)


def contradictions(grant: Grant, machine: Machine) -> Iterator[Finding]:
    """Findings where the ids of units in a grant are of other functions than its variables name."""
    if not any(map(is_id, grant.device_ids)):
        return
    told = [one.device for one in _of_environment(grant) if isinstance(one.device, PciAddress)]
    if not told:
        return
    primaries, pod = find_primaries(grant.device_ids, machine), f"pod {printable(grant.pod_uid)}"
    named = f"its variable names {listed(told)}"
    for unit, primary in primaries.items():
        if primary not in told:
            text = f"{pod} was given unit {unit}, which is {primary} here, and {named}"
            yield OFFER_RECORD_DIFFERS.found(grant.resource, text)
    # Of a unit whose functions are gone it is not known which they were.
    strange = [one for one in told if _unit_of(one, primaries, machine) is None]
    if strange and all(address in machine.functions for address in told):
        units = listed(map(printable, grant.device_ids))
        text = f"{pod} was given {units}, and {named}: {listed(strange)} is in no such unit here"
        yield OFFER_RECORD_DIFFERS.found(grant.resource, text)


@lru_cache(maxsize=4096)  # All grants of a node are looked at for each VM that starts.
def _of_environment(grant: Grant) -> tuple[Joined, ...]:
    variables = dict(grant.environment)
    resources = {grant.resource: len(grant.device_ids)}
    allocations = from_environment(variables, resources, channel=ENVIRONMENT).allocations
    return tuple(Joined(one.device, one.told_by[0]) for one in allocations if isinstance(one.device, PciAddress | Mdev))


def _of_names(device_ids: Iterable[str]) -> Iterator[Joined]:
    for name in device_ids:
        device = dialects.classify(name)
        if isinstance(device, PciAddress | Mdev):
            yield Joined(device, f"device ID {name}")


def _of_units(primaries: Mapping[str, PciAddress]) -> Iterator[Joined]:
    for unit, primary in primaries.items():
        yield Joined(primary, f"unit {unit}")


def _with_units(found: Iterable[Joined], primaries: Mapping[str, PciAddress], machine: Machine) -> tuple[Joined, ...]:
    return tuple(one._replace(unit=_unit_of(one.device, primaries, machine)) if primaries else one for one in found)


def _unit_of(device: HostDevice, primaries: Mapping[str, PciAddress], machine: Machine) -> str | None:
    """The unit whose primary function it is, or else shares its IOMMU group with, or else its slot."""
    if isinstance(device, Mdev):
        return None
    group = machine.group_of(device)
    for members in ({device}, group.members if group else (), _slot(device, machine)):
        units = [unit for unit, primary in primaries.items() if primary in members]
        if units:
            return units[0] if len(units) == 1 else None
    return None


def _slot(address: PciAddress, machine: Machine) -> Iterable[PciAddress]:
    """What is in one slot with a function. Numbers of VFs go on from one slot to the next."""
    slot = [machine.functions.get(address.with_function(number)) for number in range(8)]
    found = {one.address for one in slot if one and one.physfn is None}
    return found if address in found else ()


def _of_node(node: str, machine: Machine) -> Iterator[Joined]:
    group, cdev = _NODE.fullmatch(node), _CDEV.fullmatch(node)
    if group:
        yield from _of_group(int(group[1]), node, machine)
    elif cdev:
        functions = machine.functions.items()
        yield from (Joined(address, node) for address, function in functions if function.vfio_dev == cdev[1])


def _of_groups(device_ids: Iterable[str], machine: Machine) -> Iterator[Joined]:
    """Plugins that count their devices 0, 1, 2 look the same: a group is believed only if VFIO has all of it."""
    numbers = [int(name) for name in device_ids if _NUMBER.fullmatch(name)]
    found = {number: tuple(_of_group(number, f"device ID {number}", machine)) for number in numbers}
    if all(joined and all(_is_vfios(one.device, machine) for one in joined) for joined in found.values()):
        for joined in found.values():
            yield from joined


def _of_group(number: int, by: str, machine: Machine) -> Iterator[Joined]:
    group = machine.groups.get(number)
    members = [machine.functions[address] for address in group.members if address in machine.functions] if group else []
    found: list[HostDevice] = [function.address for function in members if not function.bridge]
    found += [Mdev(mdev.uuid) for mdev in machine.mdevs.values() if mdev.group == number]
    for device in found:
        yield Joined(device, by, exact=len(found) == 1)


def _is_vfios(device: HostDevice, machine: Machine) -> bool:
    return isinstance(device, Mdev) or is_on_vfio(machine.functions[device])


def _each_once(found: Iterable[Joined]) -> tuple[Joined, ...]:
    once: dict[HostDevice, Joined] = {}
    for joined in found:
        once.setdefault(joined.device, joined)
    return tuple(once.values())


_NAMED = 3
"""The parts of a directory in /var/log/pods: namespace, name, UID."""


class Kubelet(NamedTuple):
    """Kubelet's answers. None: it could not be asked."""

    grants: tuple[Grant, ...] | None = None
    listed: tuple[PodDevices, ...] | None = None
    boot_id: str = ""
    """Of the boot in which the grants were written down."""
    alive: frozenset[str] | None = None
    """The UIDs of the pods that kubelet has directories of."""
    logs: tuple[str, ...] = ()
    """Names in /var/log/pods."""
    claimed: tuple[str, ...] = ()
    """Devices of resource claims (DRA) of which no record is read, by their drivers' names: these tell no address."""
    records: tuple[ClaimRecord, ...] = ()
    """What our own driver prepared of resource claims."""

    def may_have(self, uid: str | None) -> bool:
        """Whether a pod is there, or could not be looked for. Of a claim without one it is not known."""
        return self.alive is None or not uid or uid in self.alive

    def every_grant(self, machine: Machine) -> tuple[Grant, ...]:
        """The grants of device plugins, and those of resource claims."""
        return (*(self.grants or ()), *claim_grants(self.records, machine.kernel.boot_id))


def claims_of_grants(function: PciFunction, machine: Machine, kubelet: Kubelet) -> Iterator[Claim]:
    """Every pod that a device was granted to, by both of kubelet's ways to tell, and by resource claims."""
    uids = _uids(kubelet)
    for grant in kubelet.every_grant(machine):
        for joined in _about(function, devices_of_grant(grant, machine), machine):
            yield Claim(
                _source_of(grant),
                grant.resource,
                joined.by,
                pod=grant.pod_uid or None,
                container=grant.container or None,
                exact=joined.exact,
                unit=joined.unit,
                resource_claim=grant.claim or None,
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
                unit=joined.unit,
            )


def unknown_units(how: How, kubelet: Kubelet, machine: Machine) -> tuple[str, ...]:
    """The ids of units that this machine has not, of grants of living pods that nothing else tells the devices of."""
    ids: dict[str, None] = {}
    for grant in (one for one in grants_of_living_pods(kubelet, machine) if _source_of(one) is how):
        if (units := [*filter(is_id, grant.device_ids)]) and not devices_of_grant(grant, machine):
            ids |= dict.fromkeys(units)
    for entry in (kubelet.listed or ()) if how is How.PODRESOURCES else ():
        if (units := [*filter(is_id, entry.device_ids)]) and not _joined(entry, kubelet, machine):
            ids |= dict.fromkeys(units)
    return tuple(ids)


def grants_of_living_pods(kubelet: Kubelet, machine: Machine) -> Iterator[Grant]:
    """The grants, but for those of pods that kubelet has no directory of."""
    yield from (one for one in kubelet.every_grant(machine) if kubelet.may_have(one.pod_uid))


def _source_of(grant: Grant) -> How:
    return How.CLAIM if grant.claim else How.CHECKPOINT


def pod_names(kubelet: Kubelet) -> Mapping[str, tuple[str, str]]:
    """Namespace and name of pods by UID: of the directories of their logs, else of a pod with the same devices."""
    listed: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for entry in kubelet.listed or ():
        for device in entry.device_ids:
            listed[entry.resource, device].add((entry.namespace, entry.pod))
    found: dict[str, tuple[str, str]] = {}
    for grant in kubelet.grants or ():
        pods = {pod for device in grant.device_ids for pod in listed[grant.resource, device]}
        if len(pods) == 1:
            found[grant.pod_uid] = pods.pop()
    found |= {uid: (record.namespace, name) for record in kubelet.records for name, uid in record.pods}
    for name in kubelet.logs:
        parts = name.split("_")
        if len(parts) == _NAMED:
            found[parts[2]] = (parts[0], parts[1])
    return MappingProxyType(found)


def listed_pods(kubelet: Kubelet) -> frozenset[str]:
    """The UIDs of pods that PodResources has devices of, where they are known."""
    uids = _uids(kubelet)
    pods = (uids.get((entry.namespace, entry.pod)) for entry in kubelet.listed or ())
    return frozenset(uid for uid in pods if uid)


def _uids(kubelet: Kubelet) -> Mapping[tuple[str, str], str]:
    """The other way round; of pods of one name, as a StatefulSet makes them, the one that is alive."""
    return {pod: uid for uid, pod in pod_names(kubelet).items() if kubelet.may_have(uid)}


def _joined(entry: PodDevices, kubelet: Kubelet, machine: Machine) -> Sequence[Joined]:
    """Resolve the plugin's names: the checkpoint may have the plugin's own answer for the same devices."""
    # Kubelet lists each device by itself, and grants all of a resource together.
    for grant in kubelet.grants or ():
        same = (grant.resource, grant.container) == (entry.resource, entry.container)
        if same and set(entry.device_ids) <= set(grant.device_ids):
            return devices_of_grant(grant, machine)
    return devices_of_ids(entry.device_ids, machine)


def _about(function: PciFunction, granted: Sequence[Joined], machine: Machine) -> Sequence[Joined]:
    """What of a grant is the function, or a mediated device of it, or else of its IOMMU group: that has one owner."""
    own = [joined for joined in granted if _address(joined.device, machine) == function.address]
    if own or not is_on_vfio(function) or function.group is None:
        return own
    group = [joined for joined in granted if _group(joined.device, machine) == function.group]
    return [Joined(one.device, f"{one.by}, {one.device} of its group", exact=False, unit=one.unit) for one in group]


def _address(device: HostDevice, machine: Machine) -> PciAddress | None:
    if isinstance(device, Mdev):
        mdev = machine.mdevs.get(device.uuid)
        return mdev.parent if mdev else None
    return device


def _group(device: HostDevice, machine: Machine) -> int | None:
    function = None if isinstance(device, Mdev) else machine.functions.get(device)
    return function.group if function and is_on_vfio(function) else None
