"""A step of the start as it was judged: passed, failed, or unknown with what to type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from domxml.finding import Evidence as Seen
from domxml.finding import Finding, Severity
from domxml.text import visible
from hostdev.findings.explain import EXPLAINED
from hostdev.why.sayings import Check, Saying
from hostdev.why.subject import Subject

MOST_SHOWN = 600
"""Letters of a foreign text in an answer."""
_DEVICE = re.compile(
    r"\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\bgroup \d+\b"
)
_RESOURCE = re.compile(r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)+/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_LIBRARY = re.compile(r"/(?:dev|var|sys|opt|proc|run)/")


class Result(StrEnum):
    """What came of a check; unknown is never passed."""

    PASS = "PASS"  # noqa: S105  no password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Item(NamedTuple):
    """One check and its result."""

    check: Check
    result: Result
    looked: str
    message: str
    finding: Finding | None = None
    command: str = ""
    """What to type to know more."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; its keys are a contract."""
        return {
            "check": str(self.check),
            "result": str(self.result),
            "looked": self.looked,
            "message": self.message,
            "command": self.command,
        }


def passed(check: Check, looked: str, message: str) -> Item:
    return Item(check, Result.PASS, visible(looked), shorten(message))


def unknown(check: Check, looked: str, message: str, command: str = "") -> Item:
    return Item(check, Result.UNKNOWN, visible(looked), shorten(message), command=command)


def failed(check: Check, where: str, code: str, message: str, subject: str, hint: str = "") -> Item:
    """A failure with its code: the row tells what to do, where nothing better is known."""
    text = shorten(message)
    row = EXPLAINED[code]
    finding = Finding(
        code, Severity.ERROR, visible(subject), text, visible(hint or row.hint), (Seen(visible(where), text),)
    )
    return Item(check, Result.FAIL, visible(where), text, finding, row.look if hasattr(row, "look") else "")


def failure_of(subject: Subject, check: Check, sayings: Iterable[Saying], otherwise: str) -> Item | None:
    """The failure that sayings about a step make; the first that is explained, else the first."""
    mine = [one for one in sayings if one.check is check]
    if not mine:
        return None
    root = next((one for one in mine if one.code and not one.is_wrapper), None)
    told = root or next((one for one in mine if one.code), None) or next(
        (one for one in mine if not one.is_wrapper), mine[0]
    )
    times = f" ({told.count} times)" if told.count > 1 else ""
    return failed(check, told.where + times, told.code or otherwise, told.text, device_of(told.text, subject))


def device_of(text: str, subject: Subject) -> str:
    """The device, resource or VM that a sentence is about."""
    device = _DEVICE.search(text.lower())
    if device:
        return device[0]
    bare = _LIBRARY.sub(" ", text)
    resource = next((found for found in _RESOURCE.findall(bare) if not found.endswith((".go", ".sock"))), "")
    return resource or "/".join(filter(None, (subject.namespace, subject.name)))


def shorten(text: str) -> str:
    """A foreign text on one line that a terminal can bear."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= MOST_SHOWN else f"{line[: MOST_SHOWN - 1]}…"


def kubectl(subject: Subject, verb: str, *words: str) -> str:
    """A command line for kubectl, with the namespace."""
    space = ("-n", subject.namespace) if subject.namespace else ()
    return " ".join(("kubectl", verb, *space, *words))


def texts_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """The fields that are texts."""
    return {key: value for key, value in fields.items() if isinstance(value, str)}
