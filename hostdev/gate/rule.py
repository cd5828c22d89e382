"""A rule: one question to the machine, what it finds wrong, the evidence, and what could not be seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from domxml.finding import Evidence, Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.inventory.machine import IommuGroup, Machine, PciFunction

T = TypeVar("T")

HOST = "host"
"""The subject of findings that are about the machine as a whole."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """A question about a T."""

    name: str
    title: str
    find: Callable[[T], Iterable[Finding]]
    seen: Callable[[T], str | None]
    """What stands there when nothing was found; None where the question does not arise."""


@dataclass(frozen=True, slots=True)
class View:
    """One function of a machine, among those that the same VM wants."""

    machine: Machine
    function: PciFunction
    wanted: frozenset[PciAddress]
    despite: frozenset[str] = frozenset()
    """Codes of what is known and accepted of the wanted ones."""

    @property
    def address(self) -> PciAddress:
        """The function's address."""
        return self.function.address

    @property
    def subject(self) -> str:
        """As findings name the function."""
        return str(self.function.address)

    @property
    def group(self) -> IommuGroup | None:
        """The function's IOMMU group, as far as it is known."""
        return self.machine.group_of(self.function.address)


DEVICES = "/sys/bus/pci/devices"
GROUPS = "/sys/kernel/iommu_groups"
ABSENT = "(absent)"


def attribute_path(address: PciAddress, attribute: str) -> str:
    return f"{DEVICES}/{address}/{attribute}"


def attribute_evidence(address: PciAddress, name: str, content: object) -> Evidence:
    """The content of an attribute of a function; None: there is none."""
    return Evidence(attribute_path(address, name), ABSENT if content is None else str(content))


def driver_evidence(function: PciFunction) -> Evidence:
    return attribute_evidence(function.address, "driver", function.driver)


def group_link_evidence(function: PciFunction) -> Evidence:
    return attribute_evidence(function.address, "iommu_group", function.group)


def group_evidence(number: int, name: str, content: str) -> Evidence:
    return Evidence(f"{GROUPS}/{number}/{name}", content)


_OWNER = re.compile(r".*/([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?:/([^/]+))?(?:/|$)")
"""The path of an attribute: below a bridge the last address is the device's own."""


def host_findings(machine: Machine) -> Iterator[Finding]:
    """One finding for each path that could not be read."""
    for file, reason in machine.unread:
        yield _finding(file, file, reason)


def device_findings(machine: Machine, address: PciAddress) -> Iterator[Finding]:
    """Findings about what of one device, or of all of them, could not be read."""
    for file, reason in machine.unread:
        owner = _OWNER.match(file)
        if owner[1] == str(address) if owner else _above(file, f"{DEVICES}/{address}"):
            yield _finding(str(address), file, reason)


def group_findings(machine: Machine, subject: str, number: int) -> Iterator[Finding]:
    """Findings about what of an IOMMU group could not be read, told of one of its members."""
    for file, reason in machine.unread:
        if file.startswith(f"{GROUPS}/{number}/"):
            yield _finding(subject, file, reason)


def hides(machine: Machine, address: PciAddress, *names: str) -> bool:
    """One of these attributes of a device could not be read, so that its absence means nothing."""
    owners = (_OWNER.match(file) for file, _ in machine.unread)
    return any(owner[1] == str(address) and (owner[2] is None or owner[2] in names) for owner in owners if owner)


def below(machine: Machine, *directories: str) -> tuple[Finding, ...]:
    """The paths that could not be read of these directories or files."""
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
