"""What forbids a change of a device's driver: what the gate says of it, but for what the change itself mends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.binding import (
    DRIVER_UNFIT,
    GROUP_NEEDS_CONSENT,
    HOLDERS_UNKNOWN,
    JOURNAL_FILE_UNREADABLE,
    MANAGED_ELSEWHERE,
    OVERRIDE_OF_ANOTHER,
)
from hostdev.findings.device import COMPANION_FUNCTION, DOMAIN_TOO_LARGE, PLATFORM_DEVICE
from hostdev.findings.driver import DENYLISTED_DEVICE, NOT_BOUND_TO_VFIO
from hostdev.findings.group import GROUP_NOT_VIABLE, RESERVED_REGION, SHARED_GROUP
from hostdev.findings.hostuse import (
    BOOT_DISPLAY,
    HOST_NETWORK_DEVICE,
    HOST_ROOT_DISK,
    HOST_USE_UNKNOWN,
    HOST_USES_DEVICE,
)
from hostdev.findings.platform import HOST_UNREADABLE, VFIO_MODULE_MISSING, VFIO_NODE_MISSING
from hostdev.findings.sriov import VF_AUTOPROBE_ON, VF_TOKEN_NEEDED
from hostdev.gate.check import answers
from hostdev.gate.device import KIND_RULES, presence_findings
from hostdev.gate.hostuse import RULES as HOST_USE
from hostdev.gate.rule import View
from hostdev.inventory.hostuse import NODE
from hostdev.inventory.machine import Machine, PciFunction

MENDED = frozenset(
    kind.code
    for kind in (
        NOT_BOUND_TO_VFIO,
        GROUP_NOT_VIABLE,
        SHARED_GROUP,
        VF_AUTOPROBE_ON,
        VFIO_MODULE_MISSING,
        VFIO_NODE_MISSING,
    )
)
"""What is there no more once every member of the group is bound, or is said in other words."""
DOUBTS = frozenset(kind.code for kind in (HOST_UNREADABLE, HOST_USE_UNKNOWN, BOOT_DISPLAY, DENYLISTED_DEVICE))
"""Warnings of the gate that forbid a write: what cannot be seen is no proof."""
ACCEPTABLE = tuple(
    kind.code
    for kind in (
        BOOT_DISPLAY,
        DOMAIN_TOO_LARGE,
        DRIVER_UNFIT,
        GROUP_NEEDS_CONSENT,
        HOLDERS_UNKNOWN,
        HOST_NETWORK_DEVICE,
        HOST_ROOT_DISK,
        HOST_UNREADABLE,
        HOST_USE_UNKNOWN,
        HOST_USES_DEVICE,
        JOURNAL_FILE_UNREADABLE,
        MANAGED_ELSEWHERE,
        OVERRIDE_OF_ANOTHER,
        PLATFORM_DEVICE,
        RESERVED_REGION,
        VF_TOKEN_NEEDED,
    )
)
"""What `--despite` may set aside; a VM's device, a PF's VFs and what the kernel refuses anyway are not among it."""


DECLARABLE = frozenset(
    kind.code for kind in (BOOT_DISPLAY, DRIVER_UNFIT, MANAGED_ELSEWHERE, OVERRIDE_OF_ANOTHER, RESERVED_REGION)
)
"""What a file may accept of a device, for good: what the host stands on is looked at each time."""
WAITING = frozenset({"snd_hda_intel", "nvidia"})
"""Drivers whose removal waits, unkillably, for every process that has a node of the device open."""


def accepted_of(function: PciFunction, despite: frozenset[str]) -> frozenset[str]:
    """What may be set aside of a function: not that a node is open, where the write would then never come back."""
    waits = function.driver in WAITING and any(sign.layer == NODE for sign in function.use.used)
    return despite - {HOST_USES_DEVICE.code} if waits else despite


def weigh(findings: Iterable[Finding], despite: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """The same findings with severity error where they forbid a write, and a warning where that was accepted."""
    for finding in findings:
        doubt = finding.code in DOUBTS and finding.severity is Severity.WARNING
        if not doubt and finding.severity is not Severity.ERROR:
            yield finding
        elif finding.code in despite and finding.code in ACCEPTABLE:
            yield finding._replace(severity=Severity.WARNING)
        else:
            yield finding._replace(severity=Severity.ERROR)


def for_guest(
    machine: Machine, function: PciFunction, wanted: frozenset[PciAddress], despite: frozenset[str]
) -> Iterator[Finding]:
    """What stands against giving a function to a guest, as far as binding does not mend it."""
    view = View(machine, function, wanted, despite)
    found = [
        *presence_findings(machine, function.address),
        *(finding for _, findings in answers(view) for finding in findings),
    ]
    kept = (one for one in found if one.code not in MENDED and one.severity is not Severity.INFO)
    left = (one for one in kept if one.code != COMPANION_FUNCTION.code or len(wanted) == 1)
    yield from weigh(left, accepted_of(function, despite))


def of_host_use(machine: Machine, function: PciFunction, despite: frozenset[str]) -> Iterator[Finding]:
    """What the host would lose with the driver that a function is on; of bridges and parts of the board, all."""
    view = View(machine, function, frozenset({function.address}), despite)
    found = (finding for rule in (*KIND_RULES, *HOST_USE) for finding in rule.find(view))
    yield from weigh(found, accepted_of(function, despite))
