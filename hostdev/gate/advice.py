"""What to do about a device that is not on vfio-pci, or has neighbours that are not: a command, or why there is none.

A command names only functions of which it is proved that the host does without them, and stands beside no error that
it would not mend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domxml.errors import SENTENCE_LIMIT
from domxml.finding import Finding, Severity
from hostdev.findings.device import PLATFORM_DEVICE
from hostdev.findings.driver import DENYLISTED_DEVICE, NOT_BOUND_TO_VFIO
from hostdev.findings.group import GROUP_NOT_VIABLE
from hostdev.findings.platform import HOST_UNREADABLE, VFIO_MODULE_MISSING, VFIO_NODE_MISSING
from hostdev.gate.driver import is_denylisted
from hostdev.gate.group import blockers
from hostdev.gate.hostuse import why_kept
from hostdev.gate.rule import View
from hostdev.inventory.machine import NOT_LOOKED_AT, PciFunction
from hostdev.inventory.pciclasses import board_part, may_be_board_part
from hostdev.inventory.vfiodrivers import GENERIC, is_on_vfio

MENDED = frozenset(kind.code for kind in (NOT_BOUND_TO_VFIO, GROUP_NOT_VIABLE, VFIO_MODULE_MISSING, VFIO_NODE_MISSING))
"""Errors that go away when every member of the group is bound."""


BIND = "passgate node bind"


def bind_command(functions: Iterable[PciFunction]) -> str:
    """What plans, proves and does it, and prints each write with --dry-run."""
    return " ".join((BIND, *(str(function.address) for function in functions)))


def advise(view: View, findings: Sequence[Finding], against: Sequence[Finding]) -> tuple[Finding, ...]:
    """These findings about a device, with the hints that depend on everything that was found of it."""
    return tuple(
        finding._replace(hint=_obstacle(view, against) or _HINTS[finding.code](view, finding))
        if finding.code in _HINTS
        else finding
        for finding in findings
    )


def _obstacle(view: View, against: Sequence[Finding]) -> str | None:
    """What rules the device out, so that nothing is won by binding anything."""
    for finding in against:
        if finding.severity is Severity.ERROR and finding.code not in MENDED:
            return f"leave it as it is: {finding.code} rules it out"
    if any(finding.code == HOST_UNREADABLE.code and finding.severity is not Severity.INFO for finding in against):
        return "first make visible what could not be read of it"
    if is_denylisted(view.machine, view.function):
        return f"{GENERIC} would refuse it, and it would end with no driver: see {DENYLISTED_DEVICE.code}"
    return None


def _own(view: View, finding: Finding) -> str:
    if is_on_vfio(view.function):
        return f"when no VM has it, {NOT_BOUND_TO_VFIO.hint}; or boot a kernel from 6.1 on"
    kept = _why_kept(view, view.function)
    if kept:
        return _unseen(view.function) or f"{kept}: choose another device"
    return _whole_group(view, finding)


def _whole_group(view: View, finding: Finding) -> str:
    """One command for all that keeps the group from a VM: half of it would help none."""
    functions = blockers(view)
    for function in functions:
        if function.bridge:
            return f"the bridge {function.address} blocks it as long as {function.driver} has it: use another slot"
        kept = _why_kept(view, function)
        if kept:
            return _unseen(function) or f"{function.address}: {kept}; move the card to a slot of its own IOMMU group"
    if is_on_vfio(view.function) or _why_kept(view, view.function):
        return _fitting(finding, functions)
    return _fitting(finding, [view.function, *functions])


def _unseen(function: PciFunction) -> str | None:
    """Where to ask, for a hook, which does not look at what the host does with a device."""
    asked = function.use == NOT_LOOKED_AT and not board_part(function)
    return f"on the node, `passgate node doctor {function.address}` tells what to do" if asked else None


def _fitting(finding: Finding, functions: Sequence[PciFunction]) -> str:
    """The command where it fits into one sentence with the finding, else one that is as good."""
    command = bind_command(functions)
    if len(f"{finding.code}: {finding.what}: {command}") < SENTENCE_LIMIT:
        return command
    return f"{bind_command(functions[:1])} --with-group"


def _why_kept(view: View, function: PciFunction) -> str | None:
    part = board_part(function)
    if part and not (function.address in view.wanted and PLATFORM_DEVICE.code in view.despite):
        return f"the board would lose its {part.name}"
    if may_be_board_part(function):
        return "it is not known whether it is a part of the board"
    if is_on_vfio(function):
        return f"{function.driver} has it, and with it perhaps a VM"
    if is_denylisted(view.machine, function):
        return f"{GENERIC} refuses it"
    return why_kept(view.machine, function)


_HINTS = {NOT_BOUND_TO_VFIO.code: _own, GROUP_NOT_VIABLE.code: _whole_group}
