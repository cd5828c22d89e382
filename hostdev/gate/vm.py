"""Checks over all devices that one VM wants: asked for twice, held by another, halves of a group, locked memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from domxml.finding import Evidence, Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.device import MDEV_MISSING
from hostdev.findings.group import GROUP_SPLIT
from hostdev.findings.hostuse import DEVICE_IN_USE, DUPLICATE_DEVICE, MEMLOCK_NOT_RAISED
from hostdev.gate import rule
from hostdev.inventory.machine import Machine

MDEVS = "/sys/bus/mdev/devices"


def duplicates(wanted: Sequence[PciAddress]) -> Iterator[Finding]:
    """Devices that are asked for more than once."""
    for address, times in Counter(wanted).items():
        if times > 1:
            yield DUPLICATE_DEVICE.found(str(address), f"is asked for {times} times")


def held_elsewhere(
    machine: Machine, wanted: Iterable[PciAddress], held: Mapping[PciAddress | str, str]
) -> Iterator[Finding]:
    """Devices that somebody else has, themselves or another member of their IOMMU group."""
    for address in wanted:
        group = machine.group_of(address)
        holders = [member for member in sorted({address, *(group.members if group else ())}) if member in held]
        if holders:
            holder = held[holders[0]]
            by_itself = address in held
            yield DEVICE_IN_USE.found(
                str(address),
                f"is held by {held[address]}"
                if by_itself
                else f"its group {group.number if group else ''} is held by {holder}, which has {holders[0]}",
                evidence=tuple(Evidence(str(member), held[member]) for member in holders),
            )


def mdevs_held_elsewhere(uuids: Iterable[str], held: Mapping[PciAddress | str, str]) -> Iterator[Finding]:
    """Mediated devices that somebody else has; each has an IOMMU group of its own."""
    for uuid in uuids:
        if uuid in held:
            yield DEVICE_IN_USE.found(uuid, f"is held by {held[uuid]}", evidence=(Evidence(uuid, held[uuid]),))


def split_by_viommu(machine: Machine, wanted: Iterable[PciAddress]) -> Iterator[Finding]:
    """Devices of one IOMMU group, in a VM whose virtual IOMMU keeps its slots apart."""
    numbers = {address: group.number for address in wanted if (group := machine.group_of(address))}
    shared = Counter(numbers.values())
    for address, number in numbers.items():
        if shared[number] > 1:
            yield GROUP_SPLIT.found(
                str(address),
                f"shares group {number} with {shared[number] - 1} more of this VM's devices",
                evidence=(rule.attribute_evidence(address, "iommu_group", number),),
            )


def missing_mdevs(machine: Machine, uuids: Iterable[str]) -> Iterator[Finding]:
    """Mediated devices that do not exist."""
    for uuid in uuids:
        if uuid not in machine.mdevs:
            there = f"{len(machine.mdevs)} others exist" if machine.mdevs else "none exists"
            yield MDEV_MISSING.found(
                uuid, f"no such mediated device, {there}", evidence=(Evidence(f"{MDEVS}/{uuid}", rule.ABSENT),)
            )


GIB = 1 << 30


def required_memlock(guest_bytes: int, devices: int, *, viommu: bool = False) -> int:
    """The limit of locked memory that libvirt wants for a VM with so many VFIO devices."""
    if devices == 0:
        return 0
    # Each device has an address space of its own behind a virtual IOMMU, and maps the whole guest again.
    return guest_bytes * (devices if viommu else 1) + GIB


def check_memlock(vm: str, need: int, *, raised: bool, limit: int | None = None) -> tuple[Finding, ...]:
    """Whether a VM gets to lock so much: `raised` by its spec, or within a limit that is known."""
    if need == 0 or raised or (limit is not None and limit >= need):
        return ()
    known = limit is not None
    finding = MEMLOCK_NOT_RAISED.found(
        vm,
        f"VFIO locks {_mib(need)} MiB, the limit is {_mib(limit or 0)} MiB"
        if known
        else f"VFIO locks {_mib(need)} MiB, and nothing in the spec makes KubeVirt raise the limit",
        severity=Severity.ERROR if known else None,
        evidence=(Evidence("/proc/self/limits", f"Max locked memory {limit}"),) if known else (),
    )
    return (finding,)


def _mib(count: int) -> int:
    return count >> 20
