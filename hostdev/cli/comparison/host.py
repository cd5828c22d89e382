"""What changed for the machine as a whole: its kernel, its IOMMU, its groups."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from hostdev.cli.comparison.change import Change
from hostdev.cli.comparison.pairing import Pairs
from hostdev.gate.rule import HOST
from hostdev.machine import IommuGroup, Machine


def changes(old: Machine, new: Machine, pairs: Pairs) -> Iterator[Change]:
    """The kernel first, then the groups."""
    yield from _kernel(old, new)
    if bool(old.groups) != bool(new.groups):
        came = bool(new.groups)
        yield Change(
            "iommu-came" if came else "iommu-gone",
            Severity.INFO if came else Severity.ERROR,
            HOST,
            "there are IOMMU groups now" if came else "there are no IOMMU groups any more",
            str(len(old.groups)),
            str(len(new.groups)),
        )
    else:
        yield from _groups(old, new, pairs)


def _kernel(old: Machine, new: Machine) -> Iterator[Change]:
    before, after = old.kernel, new.kernel
    if before.release != after.release:
        message = f"kernel {before.release or '?'} is now {after.release or '?'}"
        yield Change("kernel-changed", Severity.INFO, HOST, message, before.release, after.release)
    lost = [f"without {word}" for word in before.cmdline.split() if word not in after.cmdline.split()]
    gained = [f"with {word}" for word in after.cmdline.split() if word not in before.cmdline.split()]
    if lost or gained:
        message = f"the kernel is booted {', '.join(lost + gained)}"
        yield Change("command-line-changed", Severity.INFO, HOST, message, before.cmdline, after.cmdline)


def _groups(old: Machine, new: Machine, pairs: Pairs) -> Iterator[Change]:
    """Groups with other members, and groups with another number, each once by its new number."""
    told = set()
    for before, after in pairs.items():
        left, right = old.group_of(before), new.group_of(after)
        if left is not None and right is not None and right.number not in told:
            told.add(right.number)
            yield from _group(left, right, pairs)


def _group(left: IommuGroup, right: IommuGroup, pairs: Pairs) -> Iterator[Change]:
    expected = {pairs[member] for member in left.members if member in pairs}
    # A member that went or came is told as a device; here only those count that both machines have.
    joined = sorted(set(right.members) & set(pairs.values()) - expected)
    parted = sorted(expected - set(right.members))
    if joined or parted:
        words = [*(f"{member} joined" for member in joined), *(f"{member} left" for member in parted)]
        yield Change(
            "group-members-changed",
            Severity.WARNING,
            f"group {right.number}",
            f"{', '.join(words)} (it was group {left.number})",
            _members(left.members),
            _members(right.members),
        )
    elif left.number != right.number:
        yield Change(
            "group-renumbered",
            Severity.INFO,
            f"group {right.number}",
            f"{_members(right.members)}: group {left.number} is now group {right.number}",
            str(left.number),
            str(right.number),
        )


def _members(members: tuple[PciAddress, ...]) -> str:
    return " ".join(map(str, sorted(members)))
