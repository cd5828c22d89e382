"""Rules about IOMMU groups: may a VM have the group of a device, as the kernel decides it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domxml.finding import Evidence, Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.findings.group import GROUP_NOT_VIABLE, NO_IOMMU_GROUP, NOIOMMU_GROUP, RESERVED_REGION, SHARED_GROUP
from hostdev.findings.sriov import VF_WITHOUT_GROUP
from hostdev.gate import iommu, rule
from hostdev.gate.rule import Rule, View, group_findings, hides, not_visible
from hostdev.gate.verdict import GroupVerdict, MemberVerdict
from hostdev.inventory.machine import IommuGroup, Machine, PciFunction
from hostdev.inventory.pciclasses import board_part
from hostdev.inventory.vfiodrivers import HARMLESS_DRIVERS, is_on_vfio

OWNERSHIP_KERNEL = (5, 19)
"""From here on a driver claims its group for the kernel when it probes, and so does a bridge's."""
_UNKNOWN_KERNEL = (0, 0)
_NAMED = 2


def group_verdict(machine: Machine, group: IommuGroup) -> GroupVerdict:
    """Judge whether an IOMMU group can go to a VM, and what each member has to do with it."""
    functions = (_member(machine, address) for address in sorted(group.members))
    others = (
        MemberVerdict(name, None, blocks=False, seen=False, why="is no PCI function, its driver is not known")
        for name in sorted(group.others)
    )
    return GroupVerdict(group.number, (*functions, *others))


def _member(machine: Machine, address: PciAddress) -> MemberVerdict:
    function = machine.functions.get(address)
    seen = function is not None and not hides(machine, address, "driver", "vfio-dev")
    if function is None or not seen:
        return MemberVerdict(str(address), address, blocks=False, seen=False, why="could not be read")
    blocks, why = _claims(function, machine.kernel.version)
    for_guests = not function.bridge and board_part(function) is None
    return MemberVerdict(str(address), address, blocks=blocks, seen=True, why=why, for_guests=for_guests)


def _claims(function: PciFunction, kernel: tuple[int, int]) -> tuple[bool, str]:
    driver = function.driver
    if is_on_vfio(function):
        return False, f"is on the vfio driver {driver}"
    if driver is None:
        return False, "has no driver"
    if driver in HARMLESS_DRIVERS:
        return False, HARMLESS_DRIVERS[driver]
    if not function.bridge:
        return True, f"is on {driver}"
    if _UNKNOWN_KERNEL < kernel < OWNERSHIP_KERNEL:
        return False, f"is a bridge on {driver}, which kernels before 5.19 allow"
    unknown = " (kernel unknown, judged as 5.19 or newer)" if kernel == _UNKNOWN_KERNEL else ""
    return True, f"is a bridge on {driver}{unknown}"


def _find(view: View) -> Iterator[Finding]:
    group = view.group
    if group is None:
        yield from _without_group(view)
    elif iommu.is_noiommu(group):
        yield NOIOMMU_GROUP.found(
            view.subject,
            f"group {group.number} has no IOMMU behind it",
            evidence=(
                rule.group_link_evidence(view.function),
                rule.group_evidence(group.number, "name", iommu.NOIOMMU),
            ),
        )
    else:
        yield from group_findings(view.machine, view.subject, group.number)
        yield from _viability(view, group)
        yield from _reserved(view, group)


def _without_group(view: View) -> Iterator[Finding]:
    number = view.function.group
    if number is not None:
        place = f"{rule.GROUPS}/{number}"
        yield not_visible(view.subject, place, "it could not be listed", severity=Severity.WARNING)
        return
    if hides(view.machine, view.address, "iommu_group"):
        return
    if not view.machine.iommu.groups_visible:
        yield not_visible(view.subject, rule.GROUPS, "it could not be listed", severity=Severity.WARNING)
        return
    if iommu.has_no_iommu(view.machine):
        yield from iommu.missing_iommu(view.machine)
        return
    parent = view.function.physfn and view.machine.functions.get(view.function.physfn)
    if parent and parent.group is not None:
        yield VF_WITHOUT_GROUP.found(
            view.subject,
            f"no iommu_group found, though its PF {parent.address} is in group {parent.group}",
            evidence=(rule.group_link_evidence(view.function), rule.group_link_evidence(parent)),
        )
    else:
        yield NO_IOMMU_GROUP.found(
            view.subject, "no iommu_group found", evidence=(rule.group_link_evidence(view.function),)
        )


def _viability(view: View, group: IommuGroup) -> Iterator[Finding]:
    neighbours = _neighbours(view, group)
    blocking = [member for member in neighbours if member.blocks]
    unseen = [member for member in neighbours if not member.seen]
    if blocking:
        yield _not_viable(view, group, blocking)
    elif unseen:
        place = f"{rule.GROUPS}/{group.number}/devices/{unseen[0].name}"
        yield not_visible(view.subject, place, unseen[0].why, severity=Severity.WARNING)
    else:
        yield from _shared(view, group)


def _neighbours(view: View, group: IommuGroup) -> list[MemberVerdict]:
    """The other members: a device on the host's driver is itself told as not-bound-to-vfio."""
    return [member for member in group_verdict(view.machine, group).members if member.address != view.address]


def blockers(view: View) -> list[PciFunction]:
    """The neighbours of a device that keep its group from a VM."""
    members = _neighbours(view, view.group) if view.group else ()
    return [view.machine.functions[member.address] for member in members if member.blocks and member.address]


def _not_viable(view: View, group: IommuGroup, blocking: Sequence[MemberVerdict]) -> Finding:
    functions = blockers(view)
    release = (Evidence("/proc/sys/kernel/osrelease", view.machine.kernel.release or "(unknown)"),)
    named = listed((f"{member.name} {member.why}" for member in blocking), _NAMED)
    return GROUP_NOT_VIABLE.found(
        view.subject,
        f"group {group.number} is not viable: {named}",
        evidence=(
            rule.group_link_evidence(view.function),
            *(rule.driver_evidence(function) for function in functions),
            *(release if any(function.bridge for function in functions) else ()),
        ),
    )


def _shared(view: View, group: IommuGroup) -> Iterator[Finding]:
    functions = (view.machine.functions[address] for address in sorted(group.members))
    idle = [str(f.address) for f in functions if not f.bridge and f.address not in view.wanted]
    if idle:
        yield SHARED_GROUP.found(
            view.subject,
            f"group {group.number} also holds {listed(idle, _NAMED)}",
            evidence=(rule.group_evidence(group.number, "devices", " ".join(map(str, sorted(group.members)))),),
        )


def _reserved(view: View, group: IommuGroup) -> Iterator[Finding]:
    direct = [region for region in group.reserved if region.kind == "direct"]
    if direct:
        first = direct[0]
        yield RESERVED_REGION.found(
            view.subject,
            f"group {group.number} has memory reserved by the firmware at 0x{first.start:x}-0x{first.end:x}",
            evidence=tuple(
                rule.group_evidence(group.number, "reserved_regions", f"0x{r.start:016x} 0x{r.end:016x} {r.kind}")
                for r in direct
            ),
        )


def _seen(view: View) -> str | None:
    if view.group is None:
        return None
    members = group_verdict(view.machine, view.group).members
    others = ", ".join(f"{member.name} {member.why}" for member in members if member.address != view.address)
    return f"group {view.group.number}: {others or 'it is alone in it'}"


RULES: tuple[Rule[View], ...] = (Rule("group", "Its IOMMU group can go to a VM", _find, _seen),)
