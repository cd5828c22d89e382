"""The words of QEMU, libvirt and the kernel: templates to be shown, filled in, and recognised in a pasted text.

Placeholders: `{device}` an address, `{group}` a number, `{uuid}`, `{cdev}` such as vfio0, `{resource}` such as
intel.com/qat, `{any}` anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from domxml.finding import FindingKind, Severity
from hostdev.findings.boot import STEPS
from hostdev.findings.cluster import TROUBLES
from hostdev.findings.errors import ERRORS
from hostdev.findings.registry import ALL, look_up
from hostdev.findings.trouble import Trouble

_PLACEHOLDER = re.compile(r"\{(device|group|uuid|cdev|resource|any)\}")
_SHOWN = {"device": "DEVICE", "group": "GROUP", "uuid": "UUID", "cdev": "vfioN", "resource": "DOMAIN/NAME", "any": "…"}
_ALIKE = {"device": "#", "group": "#", "uuid": "#", "cdev": "vfio#", "resource": "domain/name"}
_RESOURCE = re.compile(r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)+/[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NUMBERS = (
    re.compile(r"\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b"),
    re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    re.compile(r"\b0x[0-9a-f]+\b"),
    re.compile(r"[0-9]+"),
)
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d`", "''\"\"'")
_SHORTEST_FRAGMENT = 10
_LONGEST_GAP = 200


def show_template(template: str) -> str:
    """The template for a reader: `vfio DEVICE: group GROUP is not viable`."""
    return _PLACEHOLDER.sub(lambda found: _SHOWN[found[1]], template)


def fill_template(template: str, values: Mapping[str, str]) -> str | None:
    """The template with its values; None if one of them is not known."""
    names = _PLACEHOLDER.findall(template)
    if not all(name in values for name in names):
        return None
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def matcher(text: str) -> Callable[[str], bool]:
    """Tell of templates whether a pasted text has their words, or is a part of them."""
    plain = _plain(text)
    named = _RESOURCE.sub("domain/name", plain)

    def matches(template: str) -> bool:
        pasted = named if "{resource}" in template else plain
        parts = [_plain(part) for part in _alike(template).split("{any}")]
        if len(pasted) >= _SHORTEST_FRAGMENT and any(pasted in part for part in parts):
            return True
        # Without the first look at the longest part a whole journal would take seconds.
        if max(parts, key=len) not in pasted:
            return False
        gap = f".{{0,{_LONGEST_GAP}}}?"
        return re.search(gap.join(re.escape(part) for part in parts), pasted) is not None

    return matches


def _alike(template: str) -> str:
    return _PLACEHOLDER.sub(lambda found: _ALIKE.get(found[1], found[0]), template)


def _plain(text: str) -> str:
    plain = text.translate(_QUOTES).lower()
    for number in _NUMBERS:
        plain = number.sub("#", plain)
    return " ".join(plain.split())


MEANING: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.ERROR: "the VM would not start, or the host would be harmed",
        Severity.WARNING: "the VM may start, and something is likely to go wrong",
        Severity.INFO: "worth knowing, nothing is wrong",
    }
)
Row: TypeAlias = FindingKind | Trouble

EXPLAINED: Mapping[str, Row] = MappingProxyType(
    dict(sorted([*ALL.items(), *((row.code, row) for row in (*TROUBLES, *STEPS, *ERRORS))]))
)
"""Every code there is: findings, troubles that no check of ours sees, errors."""

_CODE = re.compile(r"""(?<![\w-])([a-z]+(?:-[a-z]+)+)(?=: |["\]])""")
"""As a refusal begins, as an error of ours ends, as a log line names it."""


def explain(code: str) -> str:
    """The page of a code: what it means, what others say of it, what to do."""
    return page(look_up(EXPLAINED, code))


def page(row: Row) -> str:
    """A row of the tables as Markdown."""
    return "\n\n".join(_parts(row)) + "\n"


def match_text(text: str) -> tuple[str, ...]:
    """The codes that stand in a text, or whose words do: an error message, a part of one, or a whole log."""
    matches = matcher(text)
    named = set(_CODE.findall(text))
    return tuple(
        code for code, row in EXPLAINED.items() if code in named or any(matches(template) for template in row.says)
    )


class Sighting(NamedTuple):
    """A code that a text speaks of, the lines that do, and what they are about."""

    code: str
    lines: tuple[int, ...] = ()
    """Counted from 1; none where it takes several lines together."""
    about: tuple[str, ...] = ()


_ABOUT = re.compile(
    r"\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\bgroup [0-9]+\b|\b(?:virtualmachineinstance|virtualmachine|vmi|vm|pod)/[a-z0-9][a-z0-9.-]*",
    re.IGNORECASE,
)
"""Devices, groups, and the objects of `kubectl get events`."""


def find_codes(text: str) -> tuple[Sighting, ...]:
    """The codes of a text, each with its lines."""
    lines = text.splitlines()
    found = match_text(text)
    if len(lines) < 2:
        return tuple(Sighting(code, (1,), _about(code, text)) for code in found)
    told: dict[str, list[int]] = {code: [] for code in found}
    for number, line in enumerate(lines, start=1):
        matches = matcher(line)
        for code in found:
            if code in _CODE.findall(line) or any(matches(template) for template in EXPLAINED[code].says):
                told[code].append(number)
    return tuple(
        Sighting(code, tuple(numbers), _about(code, "\n".join(lines[number - 1] for number in numbers)))
        for code, numbers in told.items()
    )


def _about(code: str, text: str) -> tuple[str, ...]:
    # Elsewhere what looks like a resource is an image or a part of a path.
    resources = _RESOURCE.findall(text) if any("resource" in template for template in EXPLAINED[code].says) else []
    return tuple(dict.fromkeys([*(found.lower() for found in _ABOUT.findall(text)), *resources]))


def _parts(row: Row) -> Iterator[str]:
    yield f"# {row.code}"
    yield f"{row.title}."
    if isinstance(row, FindingKind):
        yield f"Severity: **{row.severity}** ({MEANING[row.severity]})."
    if row.cause:
        yield from ("## What it means", row.cause)
    if row.says:
        lines = "\n".join(show_template(template) for template in row.says)
        yield from (f"## {_speakers(row)}", f"```text\n{lines}\n```")
    yield from ("## What to do", f"In short: {row.hint}.")
    if row.remedy:
        yield row.remedy


def _speakers(row: Row) -> str:
    findings = "What QEMU, libvirt, the kernel or KubeVirt say"
    return findings if isinstance(row, FindingKind) else "What is said"
