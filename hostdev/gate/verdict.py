"""Verdicts as values: about one device, one IOMMU group, one member of a group."""

from __future__ import annotations

from dataclasses import dataclass

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.platform import HOST_UNREADABLE


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings about giving one device to a VM, and what they come to."""

    address: PciAddress
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        """Something forbids it."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def open(self) -> bool:
        """Something that matters could not be looked at."""
        return any(
            finding.code == HOST_UNREADABLE.code and finding.severity is not Severity.INFO for finding in self.findings
        )

    @property
    def passes(self) -> bool:
        """Nothing forbids it, and everything that matters was seen."""
        return not self.refused and not self.open


@dataclass(frozen=True, slots=True)
class MemberVerdict:
    """What one member does to its IOMMU group. A member that is not a PCI function has no address."""

    name: str
    address: PciAddress | None
    blocks: bool
    seen: bool
    why: str
    for_guests: bool = True
    """Something a guest could have: no bridge, and no part of the board."""


@dataclass(frozen=True, slots=True)
class GroupVerdict:
    """The members of an IOMMU group, and what they come to."""

    number: int
    members: tuple[MemberVerdict, ...]

    @property
    def blockers(self) -> tuple[MemberVerdict, ...]:
        """The members that stand in the way."""
        return tuple(member for member in self.members if member.blocks)

    @property
    def empty(self) -> bool:
        """There is nothing in it for a guest."""
        return not any(member.for_guests for member in self.members)

    @property
    def open(self) -> bool:
        """No member is seen to block it, but not every one could be looked at."""
        return not self.blockers and not all(member.seen for member in self.members)

    @property
    def viable(self) -> bool:
        """Every member was seen, none blocks, and there is something to give."""
        return not (self.blockers or self.open or self.empty)
