"""A recording as a value: which file held what, which link said what, and what could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from domxml.errors import BadInput

ROOTS = ("sys", "proc", "dev", "run")
"""What a recording may hold."""


@dataclass(frozen=True, slots=True)
class File:
    """A file, byte for byte."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link and what it says."""

    target: str


@dataclass(frozen=True, slots=True)
class Names:
    """A directory with these names in it, besides those that have entries of their own."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that was there and could not be read."""

    reason: str


Entry = File | Link | Names | Unreadable


class Origin(NamedTuple):
    """What a recording is of; each is empty where that is not known, as in what 0.1.0 wrote."""

    taken: str = ""
    """When, as 2026-11-28T10:00:00Z."""
    passgate: str = ""
    """The version that recorded it."""
    boot: str = ""
    """The kernel's boot id, another one after each boot, as journalctl writes it; among the entries it is made up."""


UNKNOWN_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class Recording:
    """Entries by path, relative to the root of the machine."""

    machine: str = ""
    note: str = ""
    entries: Mapping[str, Entry] = field(default_factory=dict)
    origin: Origin = UNKNOWN_ORIGIN

    def check_places(self) -> None:
        """Refuse what lies below something that is no directory, or too deep."""
        checked: set[str] = set()
        for path in self.entries:
            directory = path.rpartition("/")[0]
            if directory not in checked:
                self._check_directory(path)
                checked.add(directory)

    def _check_directory(self, path: str) -> None:
        if path.count("/") >= DEEPEST:
            raise _bad(path, f"lies more than {DEEPEST} directories deep")
        for above in ancestors(path):
            if isinstance(self.entries.get(above, _PLAIN), File | Link | Unreadable):
                raise _bad(path, f"lies below {above}, which is not a directory")

    @property
    def unreadable(self) -> dict[str, str]:
        """The paths that could not be read, and why: a scan of this recording is told."""
        return {path: entry.reason for path, entry in self.entries.items() if isinstance(entry, Unreadable)}


_PLAIN = Names(())
_PLAIN_PATH = re.compile(rf"(?:{'|'.join(ROOTS)})(?:/(?!\.\.?(?:/|\Z))[^/\0]+)+")
LONGEST = 200
DEEPEST = 64
"""Sysfs nests one directory for each bridge on the way; 32 levels of them would be a lot."""


def ancestors(path: str) -> Iterator[str]:
    """The directories above a path, the outermost first."""
    return accumulate(path.split("/")[:-1], lambda above, name: f"{above}/{name}")


def check_entry(path: str, entry: Entry) -> None:
    """Refuse a path or a link that would lead out of the directory that stands for the machine."""
    if not _PLAIN_PATH.fullmatch(path):
        _check_path(path)
    if isinstance(entry, Link):
        _check_target(path, entry.target)
    if isinstance(entry, Names):
        for name in entry.names:
            _check_name(path, name)


def _check_path(path: str) -> None:
    parts = path.split("/")
    if len(parts) < 2 or parts[0] not in ROOTS:
        raise _bad(path, f"is not below {', '.join(ROOTS)}")
    for part in parts:
        _check_name(path, part)


def _check_name(path: str, name: str) -> None:
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise _bad(path, f"has {name!r} as a name, which could lead out of the machine's directory")


def _check_target(path: str, target: str) -> None:
    depth = path.count("/")
    for part in target.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            raise _bad(path, f"is a link to {target!r}, which leads out of the machine's directory")
    if not target or target.startswith("/") or "\0" in target:
        raise _bad(path, f"is a link to {target!r}, and not to a place in the machine's directory")


def _bad(path: str, what: str) -> BadInput:
    return BadInput(
        "bad-recording",
        what,
        subject=repr(path if len(path) <= LONGEST else path[:LONGEST] + "…"),
        hint="record the machine again: passgate node snapshot",
    )
