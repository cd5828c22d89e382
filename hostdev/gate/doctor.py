"""The doctor: the same rules as ordered checks, from the firmware down to each device, with what is right as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.findings.hostuse import HOST_USE_UNKNOWN
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.gate import device
from hostdev.gate.check import HOST_RULES, answers
from hostdev.gate.rule import HOST, Rule, View, host_findings
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


def checks(
    machine: Machine, addresses: Iterable[PciAddress] = (), despite: frozenset[str] = frozenset()
) -> Sequence[Check]:
    """All checks in the order in which things must work: the host's first, then each device's."""
    wanted = tuple(dict.fromkeys(addresses))
    host = tuple(_of_rules(((rule, tuple(rule.find(machine))) for rule in HOST_RULES), machine, HOST))
    devices = tuple(check for address in wanted for check in _of_device(machine, address, frozenset(wanted), despite))
    return (*host, _view(machine, (*host, *devices)), *devices)


def _view(machine: Machine, others: Iterable[Check]) -> Check:
    findings = tuple(host_findings(machine))
    title, seen = "Everything could be read", f"nothing of {machine.source} was unreadable"
    unknown = [check.name for check in others if check.status is Status.UNKNOWN]
    if unknown and not findings:
        detail = f"not all that matters was to be seen: {listed(dict.fromkeys(unknown), len(unknown))}"
        return Check("view", title, Status.UNKNOWN, detail)
    return _check("view", title, findings, seen, HOST)


def _of_device(
    machine: Machine, address: PciAddress, wanted: frozenset[PciAddress], despite: frozenset[str]
) -> Iterator[Check]:
    subject = str(address)
    findings = tuple(device.presence_findings(machine, address))
    yield _check("exists", "There is a device", findings, "it is there", subject)
    function = machine.functions.get(address)
    if function is not None:
        view = View(machine, function, wanted, despite)
        yield from _of_rules(answers(view), view, subject)


def _of_rules(answered: Iterable[tuple[Rule[T], tuple[Finding, ...]]], asked: T, subject: str) -> Iterator[Check]:
    for rule, findings in answered:
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
