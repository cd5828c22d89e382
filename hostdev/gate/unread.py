"""What the picture of a machine had to do without: it is told, and never taken for good or bad."""

from __future__ import annotations

import re
from collections.abc import Iterator

from domxml.finding import Evidence, Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.gate.rule import DEVICES, GROUPS
from hostdev.inventory.machine import Machine

_OWNER = re.compile(r".*/([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?:/([^/]+))?(?:/|$)")
"""The path of an attribute: below a bridge the last address is the device's own."""


def host_findings(machine: Machine) -> Iterator[Finding]:
    """One finding for each path that could not be read."""
    for file, reason in machine.unread:
        yield _finding(file, file, reason)


def device_findings(machine: Machine, address: PciAddress) -> Iterator[Finding]:
    """What could not be read of one device, or of all of them."""
    for file, reason in machine.unread:
        owner = _OWNER.match(file)
        if owner[1] == str(address) if owner else _above(file, f"{DEVICES}/{address}"):
            yield _finding(str(address), file, reason)


def group_findings(machine: Machine, subject: str, number: int) -> Iterator[Finding]:
    """What could not be read of an IOMMU group, told of one of its members."""
    for file, reason in machine.unread:
        if file.startswith(f"{GROUPS}/{number}/"):
            yield _finding(subject, file, reason)


def hides(machine: Machine, address: PciAddress, *names: str) -> bool:
    """Whether one of these attributes of a device could not be read, so that its absence means nothing."""
    owners = (_OWNER.match(file) for file, _ in machine.unread)
    return any(owner[1] == str(address) and (owner[2] is None or owner[2] in names) for owner in owners if owner)


def below(machine: Machine, *directories: str) -> tuple[Finding, ...]:
    """What could not be read of these directories or files."""
    return tuple(
        _finding(file, file, reason)
        for file, reason in machine.unread
        if any(_above(directory, file) or _above(file, directory) for directory in directories)
    )


def not_visible(
    subject: str, file: str, why: str, *, severity: Severity = Severity.INFO, hint: str | None = None
) -> Finding:
    """Something that this process cannot see at all, as in a container."""
    return HOST_UNREADABLE.found(
        subject, f"{file} is not to be seen: {why}", hint=hint, severity=severity, evidence=(Evidence(file, why),)
    )


def _finding(subject: str, file: str, reason: str) -> Finding:
    message = f"could not be read: {reason}" if subject == file else f"{file} could not be read: {reason}"
    return HOST_UNREADABLE.found(subject, message, evidence=(Evidence(file, reason),))


def _above(directory: str, file: str) -> bool:
    return file == directory or file.startswith(directory.rstrip("/") + "/")
