"""What the verbs of a fleet share: the directory, the time that ages are counted to, how files are told and written."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from domxml.errors import BadInput
from domxml.finding import Finding
from domxml.text import printable
from hostdev.findings.fleet import SNAPSHOT_TWICE
from hostdev.fleet.node import Node, describe_age
from hostdev.fleet.snapshots import Broken, Fleet, find_snapshots, survey
from hostdev.printing import output
from hostdev.printing.documents import Document

T = TypeVar("T")

_AGE = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
ANY_AGE = "any"


class Moment(NamedTuple):
    """Now, and how old a snapshot may be."""

    now: datetime
    max_age: timedelta | None


class Head(NamedTuple):
    """What is said of a node's snapshot, in every answer."""

    node: str
    taken: str = ""
    seconds: int | None = None
    """How old it is; None where that is not known."""
    boot: str = ""
    passgate: str = ""
    kernel: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def age(self) -> str:
        """In words; a question mark where it is not known."""
        return "?" if self.seconds is None else describe_age(timedelta(seconds=self.seconds))

    def as_dict(self) -> Document:
        """Its keys in a document."""
        return {
            "node": self.node,
            "taken": self.taken or None,
            "ageSeconds": self.seconds,
            "boot": self.boot or None,
            "passgate": self.passgate or None,
            "kernel": self.kernel or None,
        }


def read_moment(arguments: argparse.Namespace) -> Moment:
    """Read `--max-age`."""
    text = arguments.max_age
    found = _AGE.fullmatch(text)
    if not found and text != ANY_AGE:
        hint = "a number and s, m, h, d or w, such as 12h or 7d; or any"
        raise BadInput("bad-usage", f"--max-age cannot be {printable(text, 40)!r}", hint=hint)
    return Moment(datetime.now(UTC), timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None)


def head_of(node: Node, moment: Moment, *, judged: bool = True) -> Head:
    """Gather what is said of a node's snapshot; without findings, unless it shall be judged."""
    age = node.age(moment.now)
    findings = tuple(node.findings(moment.now, moment.max_age)) if judged else ()
    seconds = None if age is None else int(age.total_seconds())
    origin, kernel = node.origin, node.machine.kernel.release
    return Head(node.name, origin.taken if node.taken else "", seconds, origin.boot, origin.passgate, kernel, findings)


def open_fleet(directory: str) -> Fleet:
    """List the snapshots of a directory, and say what else is in it."""
    fleet = find_snapshots(directory)
    note_findings(fleet.findings)
    if not fleet.snapshots:
        output.note(f"note: {directory} has no snapshots: `passgate fleet collect --out {directory}` gathers them")
    return fleet


def each_node(fleet: Fleet, work: Callable[[Node], T]) -> Iterator[T | Broken]:
    """Do something with every node; what cannot be read is said at once, and handed on."""
    for one in survey(fleet, work):
        if isinstance(one, Broken):
            note_findings([one.finding])
        yield one


def note_findings(findings: Iterable[Finding]) -> None:
    """Say findings about files on standard error, for people."""
    for found in findings:
        output.note(f"{found.severity}: {found.what} [{found.code}]")


def find_twins(heads: Iterable[Head]) -> Iterator[Finding]:
    """Say of both nodes whose snapshots were taken in one boot of one machine."""
    met: dict[str, str] = {}
    for head in heads:
        first = met.setdefault(head.boot, head.node)
        if head.boot and first != head.node:
            for name, twin in ((first, head.node), (head.node, first)):
                yield SNAPSHOT_TWICE.found(name, f"was taken in the same boot of the same machine as {twin}")


def write_whole_file(path: Path, text: str, mode: int | None = None) -> None:
    """Write it beside first: what is there under its name is whole. Without a mode it has that of any new file."""
    # A name that was never used: what was ended halfway may have left its own, and had the same process id.
    draft = path.with_name(f".{path.name[:40]}.{os.urandom(8).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
