"""The allocation file: the environment of the `compute` container, written down for those who cannot see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from domxml.finding import Finding
from domxml.text import listed
from hostdev.allocation.allocation import ALLOCATION_FILE, Gathered
from hostdev.allocation.environment import Resources, from_environment
from hostdev.findings.allocation import ALLOCATION_FILE_UNREADABLE, VARIABLE_UNREADABLE

MAX_BYTES = 2 * 1024 * 1024
"""The kernel gives no process a larger environment."""


class EnvFile(NamedTuple):
    """The variables of a file, and what of it could not be read."""

    variables: Mapping[str, str]
    findings: tuple[Finding, ...] = ()


def from_env_file(data: bytes, resources: Resources, *, channel: str = ALLOCATION_FILE) -> Gathered:
    """Gather what the variables in a file say."""
    file = parse_env_file(data, channel=channel)
    gathered = from_environment(file.variables, resources, channel=channel)
    return Gathered(gathered.allocations, (*file.findings, *gathered.findings))


def parse_env_file(data: bytes, *, channel: str = ALLOCATION_FILE) -> EnvFile:
    """Read lines `NAME=VALUE`, or the same with NUL bytes between; quotes belong to the value."""
    if len(data) > MAX_BYTES:
        text = f"has {len(data)} bytes, the limit is {MAX_BYTES}"
        return EnvFile({}, (ALLOCATION_FILE_UNREADABLE.found(channel, text),))
    variables: dict[str, str] = {}
    bad: list[int] = []
    again: list[int] = []
    unit = "entry" if b"\0" in data else "line"
    for number, name, value in _entries(data):
        if not name:
            bad.append(number)
        elif variables.setdefault(name, value) != value:
            again.append(number)
    findings = []
    # Numbers only: what stands there may be a secret.
    if bad:
        findings.append(VARIABLE_UNREADABLE.found(channel, f"not NAME=VALUE: {unit} {listed(bad)}"))
    if again:
        text = f"sets a variable again, to another value: {unit} {listed(again)}; the first counts"
        findings.append(VARIABLE_UNREADABLE.found(channel, text))
    return EnvFile(variables, tuple(findings))


def to_env_file(variables: Mapping[str, str]) -> bytes:
    """Write what `parse_env_file` reads; with NUL bytes between where a line could not hold all of it."""
    fits = not any("\n" in value or value.endswith("\r") or name.startswith("#") for name, value in variables.items())
    end = "\n" if fits else "\0"
    return "".join(f"{name}={value}{end}" for name, value in variables.items()).encode()


def can_be_written(name: str, value: str) -> bool:
    """Whether an environment, and so the file, can hold the variable."""
    return bool(name) and "=" not in name and _is_name(name) and "\0" not in value


def _entries(data: bytes) -> Iterator[tuple[int, str, str]]:
    """Number, name and value of each entry; no name where it is none."""
    whole = b"\0" in data
    text = data.decode("utf-8-sig", errors="backslashreplace")
    for number, line in enumerate(text.split("\0" if whole else "\n"), start=1):
        entry = line if whole else line.removesuffix("\r")
        # In a process's environment nothing is a comment, in a file that people write it is.
        if not entry.strip() or (not whole and entry.startswith("#")):
            continue
        name, equals, value = entry.partition("=")
        yield number, name if equals and _is_name(name) else "", value


def _is_name(name: str) -> bool:
    return name.isascii() and name.isprintable() and " " not in name
