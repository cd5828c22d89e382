"""What is wrong, one cause a time: the same finding of several devices together, and what only follows left to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.findings.group import GROUP_NOT_VIABLE
from hostdev.gate.advice import BIND, MENDED
from hostdev.gate.doctor import Check, Status
from hostdev.gate.rule import HOST
from hostdev.inventory.machine import Machine, PciFunction

DEVICE = "DEVICE"
"""What stands in a text about several for the address of each."""
WRONG = (Status.FAIL, Status.UNKNOWN, Status.WARN)
"""The worst first: what is not known may be as bad."""

_WAITS: Mapping[str, str] = MappingProxyType({"interrupts": "modules", "nodes": "modules", "node": "modules"})
"""Checks that see nothing before another one passes."""


class Problem(NamedTuple):
    """One cause, and all that have it."""

    status: Status
    code: str
    subjects: tuple[str, ...]
    message: str
    hint: str
    waiting: tuple[str, ...] = ()
    """The titles of checks that see nothing before it is mended."""


class Alike(NamedTuple):
    """Subjects of which the same is to be said, and what: of the first of them."""

    subjects: tuple[str, ...]
    checks: tuple[Check, ...]


def find_problems(machine: Machine, checks: Sequence[Check]) -> list[Problem]:
    """List each cause once, the worst first."""
    causes: dict[object, list[tuple[Check, Finding]]] = {}
    waiting: dict[str, dict[str, None]] = {}
    wrong = list(_wrong(checks))
    ruled_out = {
        found.subject for _, found in wrong if found.severity is Severity.ERROR and found.code not in MENDED
    } - {HOST}
    for check, found in wrong:
        blocking = waits_for(check, checks)
        if blocking is not None:
            waiting.setdefault(blocking.findings[0].code, {})[check.title] = None
        # Nothing is won by binding what is ruled out all the same.
        elif found.code not in MENDED or found.subject not in ruled_out:
            same = causes.setdefault((_status(check, found), found.code, *_likeness(machine, found)), [])
            same.append((check, found))
    told = (_problem(machine, same, tuple(waiting.get(same[0][1].code, ()))) for same in causes.values())
    return sorted(told, key=lambda problem: WRONG.index(problem.status))


def waits_for(check: Check, checks: Iterable[Check]) -> Check | None:
    """The check that has to pass before this one can see anything."""
    if check.status is not Status.UNKNOWN or check.name not in _WAITS:
        return None
    return next((one for one in checks if one.name == _WAITS[check.name] and one.status is Status.FAIL), None)


def alike(machine: Machine, checks: Sequence[Check]) -> list[Alike]:
    """Put subjects together of which each check says the same, but for numbers that are their own."""
    found: dict[object, Alike] = {}
    for subject, part in groupby(checks, key=lambda check: check.subject):
        own = tuple(part)
        texts = ((c.name, c.detail, *(found.hint for found in c.findings)) for c in own)
        key = tuple(tuple(_own_words(machine, subject, text) for text in each) for each in texts)
        before = found.get(key)
        found[key] = Alike((*before.subjects, subject), before.checks) if before else Alike((subject,), own)
    return list(found.values())


def _wrong(checks: Iterable[Check]) -> Iterator[tuple[Check, Finding]]:
    """The findings of checks that did not go well, without what is only told for completeness."""
    for check in checks:
        if check.status in WRONG:
            yield from ((check, found) for found in check.findings if _status(check, found) in WRONG)


def _status(check: Check, found: Finding) -> Status:
    """That of the check, for the finding that made it so."""
    if len(check.findings) == 1:
        return check.status
    return {"error": Status.FAIL, "warning": Status.WARN}.get(str(found.severity), Status.INFO)


def _likeness(machine: Machine, found: Finding) -> tuple[object, ...]:
    """What findings of one code have in common when they have one cause."""
    if found.code == GROUP_NOT_VIABLE.code:
        function = _function(machine, found.subject)
        return (function and function.group,)
    return tuple(_own_words(machine, found.subject, text) for text in (found.message, found.hint))


def _problem(machine: Machine, same: Sequence[tuple[Check, Finding]], waiting: tuple[str, ...]) -> Problem:
    check, first = same[0]
    subjects = tuple(dict.fromkeys(found.subject for _, found in same))
    message, hint = first.message, first.hint
    if len(subjects) > 1 and first.code != GROUP_NOT_VIABLE.code:
        message, hint = (_own_words(machine, first.subject, text) for text in (message, hint))
    # A command for each becomes one for all.
    hint = hint.replace(f"{BIND} {DEVICE}", f"{BIND} {' '.join(subjects)}")
    return Problem(_status(check, first), first.code, subjects, message, hint, waiting)


def _function(machine: Machine, subject: str) -> PciFunction | None:
    return None if subject == HOST or "/" in subject else machine.functions.get(PciAddress.parse(subject))


def _own_words(machine: Machine, subject: str, text: str) -> str:
    """A text with general words for what is a device's own: its address, its group, its VFIO device."""
    function = _function(machine, subject)
    if function is None:
        return text
    if function.vfio_dev:
        text = re.sub(rf"\b{re.escape(function.vfio_dev)}\b", "vfioN", text)
    if function.group is not None:
        text = re.sub(rf"(?<=\bgroup ){function.group}\b|(?<=/dev/vfio/){function.group}\b", "N", text)
    return text.replace(subject, DEVICE)
