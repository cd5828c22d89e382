"""The allocation file: the environment of the `compute` container, written down for those who cannot see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from domxml.finding import Finding, Severity
from domxml.text import listed, printable
from hostdev.allocation.allocation import ALLOCATION_FILE, Gathered
from hostdev.allocation.dialects import dialects_of
from hostdev.allocation.environment import Resources, from_environment
from hostdev.findings.allocation import ALLOCATION_FILE_UNREADABLE, VARIABLE_UNREADABLE

MAX_BYTES = 2 * 1024 * 1024
"""The kernel gives no process a larger environment."""
NOTE = "#passgate-"
"""How the writer's notes begin: comments between lines, and between NUL bytes variables of which no plugin knows."""
RESOURCE_NOTE = f"{NOTE}resource:"
"""`#passgate-resource:QAT0=qat.intel.com/sym`: whose variable it is; once more for each further resource."""
GRANT_NOTE = f"{NOTE}grant:"
"""`#passgate-grant:qat.intel.com/sym=1`: how many devices of it kubelet gave, whatever its plugin told of them."""
CLAIM_NOTE = f"{NOTE}claim:"
"""`#passgate-claim:example.com/gpu=lab/render-gpu-x7k2p 0000:3d-00.0-10de.1eb8`: the resource claim that it was
prepared for, and its units."""
_DIGITS = 8


class EnvFile(NamedTuple):
    """The variables of a file, and what of it could not be read."""

    variables: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
    resources: Mapping[str, tuple[str, ...]] = {}
    """By variable, the resources that it is of; without a key the file does not tell."""
    grants: Mapping[str, int] = {}
    """By resource, how many devices kubelet gave; empty where the file does not tell."""
    claims: Mapping[str, str] = {}
    """By resource the resource claim that it was given by, with its namespace."""


def from_env_file(data: bytes, resources: Resources, *, channel: str = ALLOCATION_FILE) -> Gathered:
    """Gather what the variables in a file say."""
    file = parse_env_file(data, channel=channel)
    gathered = from_environment(file.variables, resources, channel=channel, owners=file.resources)
    count = len(gathered.allocations)
    claims = "".join(f"; claim {printable(claim)} of {printable(name)}" for name, claim in file.claims.items())
    looked_at = (f"{channel} ({count or 'no'} device{'' if count == 1 else 's'}{claims})",)
    return Gathered(gathered.allocations, (*file.findings, *gathered.findings), looked_at, file.grants)


def parse_env_file(data: bytes, *, channel: str = ALLOCATION_FILE) -> EnvFile:
    """Read lines `NAME=VALUE`, or the same with NUL bytes between; quotes belong to the value."""
    if len(data) > MAX_BYTES:
        text = f"has {len(data)} bytes, the limit is {MAX_BYTES}"
        return EnvFile({}, (ALLOCATION_FILE_UNREADABLE.found(channel, text),))
    told: dict[str, str] = {}
    resources: dict[str, tuple[str, ...]] = {}
    bad: list[int] = []
    again: list[int] = []
    twice: list[int] = []
    for number, name, value in _entries(data):
        if not _is_entry(name, value):
            bad.append(number)
        elif name.startswith(RESOURCE_NOTE):
            about = name.removeprefix(RESOURCE_NOTE)
            resources[about] = tuple(dict.fromkeys((*resources.get(about, ()), value)))
        elif told.setdefault(name, value) != value:
            (twice if dialects_of(name) else again).append(number)
    unit = "entry" if b"\0" in data else "line"
    findings = []
    # Numbers only: what stands there may be a secret.
    if bad:
        findings.append(VARIABLE_UNREADABLE.found(channel, f"not NAME=VALUE: {unit} {listed(bad)}"))
    if again:
        text = f"sets a variable again, to another value: {unit} {listed(again)}; the first counts"
        findings.append(VARIABLE_UNREADABLE.found(channel, text))
    if twice:
        text = f"names devices again, and others: {unit} {listed(twice)}"
        findings.append(VARIABLE_UNREADABLE.found(channel, text, severity=Severity.ERROR))
    variables = {name: value for name, value in told.items() if not name.startswith(NOTE)}
    grants = {name.removeprefix(GRANT_NOTE): int(value) for name, value in told.items() if name.startswith(GRANT_NOTE)}
    claims = {
        name.removeprefix(CLAIM_NOTE): value.partition(" ")[0]
        for name, value in told.items()
        if name.startswith(CLAIM_NOTE)
    }
    return EnvFile(variables, tuple(findings), resources, grants, claims)


def to_env_file(
    variables: Mapping[str, str],
    resources: Mapping[str, Iterable[str]] = {},
    grants: Mapping[str, int] = {},
    claims: Mapping[str, Iterable[str]] = {},
) -> bytes:
    """Write what `parse_env_file` reads; with NUL bytes between where a line could not hold all of it.

    `claims` are the claim and the units of a resource.
    """
    fits = not any("\n" in value or value.endswith("\r") or name.startswith("#") for name, value in variables.items())
    entries = [f"{GRANT_NOTE}{resource}={count}" for resource, count in grants.items() if can_be_written(resource)]
    entries += [f"{CLAIM_NOTE}{name}={' '.join(words)}" for name, words in claims.items() if can_be_written(name)]
    for name, value in variables.items():
        entries += [f"{RESOURCE_NOTE}{name}={whose}" for whose in resources.get(name, ()) if can_be_written(whose)]
        entries.append(f"{name}={value}")
    end = "\n" if fits else "\0"
    return "".join(f"{entry}{end}" for entry in entries).encode()


def can_be_written(name: str, value: str = "") -> bool:
    """An environment, and so the file, can hold the variable."""
    return bool(name) and "=" not in name and _is_name(name) and not name.startswith(NOTE) and "\0" not in value


def _entries(data: bytes) -> Iterator[tuple[int, str, str]]:
    """Number, name and value of each entry; no name where it is none."""
    whole = b"\0" in data
    text = data.decode("utf-8-sig", errors="backslashreplace")
    for number, line in enumerate(text.split("\0" if whole else "\n"), start=1):
        entry = line if whole else line.removesuffix("\r")
        # In a process's environment nothing is a comment, in a file that people write it is.
        comment = entry.startswith("#") and not entry.startswith((RESOURCE_NOTE, GRANT_NOTE, CLAIM_NOTE))
        if not entry.strip() or (comment and not whole):
            continue
        name, equals, value = entry.partition("=")
        yield number, name if equals and _is_name(name) else "", value


def _is_entry(name: str, value: str) -> bool:
    if name.startswith(GRANT_NOTE):
        return value.isascii() and value.isdecimal() and len(value) < _DIGITS
    return bool(name and (value or not name.startswith((RESOURCE_NOTE, CLAIM_NOTE))))


def _is_name(name: str) -> bool:
    return name.isascii() and name.isprintable() and " " not in name
