"""The gate: may these devices be given to one VM. Pure checks over a Machine; every verdict is made of findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from domxml.finding import Evidence, Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.device import MDEV_MISSING
from hostdev.findings.group import GROUP_SPLIT
from hostdev.findings.hostuse import DEVICE_IN_USE, DUPLICATE_DEVICE, MEMLOCK_NOT_RAISED
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.gate import advice, device, driver, group, hostuse, iommu, rule
from hostdev.gate.device import presence_findings
from hostdev.gate.rule import Rule, View, host_findings
from hostdev.gate.verdict import Verdict
from hostdev.inventory.machine import Machine

if TYPE_CHECKING:
    # It loads lxml, which a look at a host does without.
    from domxml.source import HostDevice


MDEVS = "/sys/bus/mdev/devices"


def duplicates(wanted: Sequence[PciAddress]) -> Iterator[Finding]:
    """Devices that are asked for more than once."""
    for address, times in Counter(wanted).items():
        if times > 1:
            yield DUPLICATE_DEVICE.found(str(address), f"is asked for {times} times")


def held_elsewhere(
    machine: Machine, wanted: Iterable[PciAddress], held: Mapping[PciAddress | str, str]
) -> Iterator[Finding]:
    """Devices that are held elsewhere, themselves or another member of their IOMMU group."""
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
    """Mediated devices that are held elsewhere; each has an IOMMU group of its own."""
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
    """Check that a VM gets to lock so much: `raised` by its spec, or within a limit that is known."""
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


HOST_RULES: tuple[Rule[Machine], ...] = (*iommu.RULES, *driver.HOST_RULES)
_BRIDGE_RULES = device.KIND_RULES
_DEVICE_RULES: tuple[Rule[View], ...] = (
    *device.KIND_RULES,
    *device.ROLE_RULES,
    *group.RULES,
    *driver.RULES,
    *driver.NODE_RULES,
    *device.OTHER_RULES,
    *device.LIFE_RULES,
    *hostuse.RULES,
)

_NOBODY: Mapping[PciAddress | str, str] = MappingProxyType({})


def check(  # noqa: PLR0913  what one VM has and asks for, each named by its caller
    machine: Machine,
    wanted: Iterable[PciAddress],
    *,
    mdevs: Iterable[str] = (),
    held: Mapping[PciAddress | str, str] = _NOBODY,
    viommu: bool = False,
    despite: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Find all there is to say of giving these devices to one VM: the host's findings first, then each device's.

    `held` tells which devices, mediated ones by UUID, are held elsewhere, and by what; `viommu` that the VM has a
    virtual IOMMU; `despite` names codes that are accepted of these devices.
    """
    asked, uuids = tuple(wanted), tuple(mdevs)
    addresses = tuple(dict.fromkeys(asked))
    accepted = frozenset(despite)
    findings = [
        *host_findings(machine),
        *platform_findings(machine),
        *duplicates(asked),
        *together_findings(machine, addresses, accepted),
        *held_elsewhere(machine, addresses, held),
        *(split_by_viommu(machine, addresses) if viommu else ()),
        *missing_mdevs(machine, uuids),
        *mdevs_held_elsewhere(uuids, held),
    ]
    return tuple(dict.fromkeys(findings))


def enforce(
    machine: Machine,
    wanted: Iterable[HostDevice],
    *,
    held: Mapping[PciAddress | str, str] = _NOBODY,
    allowed: Collection[str] = (),
) -> tuple[Finding, ...]:
    """The same for a VM that is about to get them: refuse for the first error that is not allowed, tell the rest."""
    sources = tuple(wanted)
    addresses = [source for source in sources if isinstance(source, PciAddress)]
    mdevs = [source.uuid for source in sources if not isinstance(source, PciAddress)]
    findings = check(machine, addresses, mdevs=mdevs, held=held, despite=allowed)
    for finding in findings:
        if _stops(finding) and finding.code not in allowed:
            raise finding.refusal()
    return findings


def _stops(finding: Finding) -> bool:
    """An error, or a wanted device of which the host did not show what the verdict rests on: doubt is no yes."""
    return finding.severity is Severity.ERROR or (
        finding.code == HOST_UNREADABLE.code and finding.severity is Severity.WARNING
    )


def answers(view: View) -> list[tuple[Rule[View], tuple[Finding, ...]]]:
    """What each rule finds of a function, with hints that know of all the others; of a bridge only what refuses it."""
    rules = _BRIDGE_RULES if view.function.bridge else _DEVICE_RULES
    found = [(rule, tuple(rule.find(view))) for rule in rules]
    against = [
        *presence_findings(view.machine, view.address),
        *(finding for _, findings in found for finding in findings),
    ]
    return [(rule, advice.advise(view, findings, against)) for rule, findings in found]


def platform_findings(machine: Machine) -> Iterator[Finding]:
    """What is wrong with the host for any device."""
    for one in HOST_RULES:
        yield from one.find(machine)


def together_findings(
    machine: Machine, addresses: Collection[PciAddress], despite: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """What is wrong with each of some functions, if one VM gets them all."""
    wanted = frozenset(addresses)
    for address in addresses:
        yield from _of_device(machine, address, wanted, despite)


def verdict_of(machine: Machine, address: PciAddress, despite: frozenset[str] = frozenset()) -> Verdict:
    """Judge whether one device may be given to a VM; the modules and nodes of the host are left to `check`."""
    return Verdict(address, tuple(together_findings(machine, (address,), despite)))


def _of_device(
    machine: Machine, address: PciAddress, wanted: frozenset[PciAddress], despite: frozenset[str]
) -> Iterator[Finding]:
    yield from presence_findings(machine, address)
    function = machine.functions.get(address)
    if function is not None:
        for _, findings in answers(View(machine, function, wanted, despite)):
            yield from findings
