"""The doctor: the same rules as ordered checks, from the firmware down to each device, with what is right as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.hostuse import HOST_USE_UNKNOWN
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.gate import device, unread
from hostdev.gate.check import HOST_RULES, device_rules
from hostdev.gate.rule import HOST, Rule, View
from hostdev.inventory.machine import Machine

T = TypeVar("T")

_UNSEEN = frozenset({HOST_UNREADABLE.code, HOST_USE_UNKNOWN.code})


class Status(StrEnum):
    """How a check went. UNKNOWN: what it needs could not be seen."""

    PASS = "PASS"  # noqa: S105  no password
    INFO = "INFO"
    WARN = "WARN"
    UNKNOWN = "UNKNOWN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """One question, how it went, and what was seen. `subject` is `host` or a device's address."""

    name: str
    title: str
    status: Status
    detail: str
    findings: tuple[Finding, ...] = ()
    subject: str = HOST


def checks(machine: Machine, addresses: Iterable[PciAddress] = ()) -> Sequence[Check]:
    """All checks in the order in which things must work: the host's first, then each device's."""
    wanted = tuple(dict.fromkeys(addresses))
    return (
        *_of_rules(HOST_RULES, machine, HOST),
        _view(machine),
        *(check for address in wanted for check in _of_device(machine, address, frozenset(wanted))),
    )


def _view(machine: Machine) -> Check:
    findings = tuple(unread.host_findings(machine))
    return _check("view", "Everything could be read", findings, f"nothing of {machine.source} was unreadable", HOST)


def _of_device(machine: Machine, address: PciAddress, wanted: frozenset[PciAddress]) -> Iterator[Check]:
    subject = str(address)
    findings = tuple(device.presence_findings(machine, address))
    yield _check("exists", "There is a device", findings, "it is there", subject)
    function = machine.functions.get(address)
    if function is not None:
        yield from _of_rules(device_rules(function), View(machine, function, wanted), subject)


def _of_rules(rules: Iterable[Rule[T]], asked: T, subject: str) -> Iterator[Check]:
    for rule in rules:
        findings = tuple(rule.find(asked))
        seen = rule.seen(asked)
        if findings or seen is not None:
            yield _check(rule.name, rule.title, findings, seen or "", subject)


def _check(name: str, title: str, findings: tuple[Finding, ...], seen: str, subject: str) -> Check:
    detail = "; ".join(finding.message for finding in findings) if findings else seen
    return Check(name, title, _status(findings), detail, findings, subject)


def _status(findings: tuple[Finding, ...]) -> Status:
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Status.FAIL
    if any(finding.code in _UNSEEN for finding in findings):
        return Status.UNKNOWN
    if Severity.WARNING in severities:
        return Status.WARN
    return Status.INFO if findings else Status.PASS
