"""`passgate node explain`: a code as a page of Markdown, and from a pasted error text to the codes behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from domxml.finding import FindingKind, Severity
from hostdev.catalogue import ALL, looked_up
from hostdev.catalogue.cluster import TROUBLES
from hostdev.catalogue.errors import ERRORS
from hostdev.catalogue.trouble import Trouble
from hostdev.catalogue.words import matcher, shown

MEANING: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.ERROR: "the VM would not start, or the host would be harmed",
        Severity.WARNING: "the VM may start, and something is likely to go wrong",
        Severity.INFO: "worth knowing, nothing is wrong",
    }
)
Row: TypeAlias = FindingKind | Trouble

EXPLAINED: Mapping[str, Row] = MappingProxyType(
    dict(sorted([*ALL.items(), *((row.code, row) for row in (*TROUBLES, *ERRORS))]))
)
"""Every code there is: findings, troubles that no check of ours sees, errors."""

_CODE = re.compile(r"""(?<![\w-])([a-z]+(?:-[a-z]+)+)(?=: |["\]])""")
"""As a refusal begins, as an error of ours ends, as a log line names it."""


def explain(code: str) -> str:
    """The page of a code: what it means, what others say of it, what to do."""
    return page(looked_up(EXPLAINED, code))


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


def _parts(row: Row) -> Iterator[str]:
    yield f"# {row.code}"
    yield f"{row.title}."
    if isinstance(row, FindingKind):
        yield f"Severity: **{row.severity}** ({MEANING[row.severity]})."
    if row.cause:
        yield from ("## What it means", row.cause)
    if row.says:
        lines = "\n".join(shown(template) for template in row.says)
        yield from (f"## {_speakers(row)}", f"```text\n{lines}\n```")
    yield from ("## What to do", f"In short: {row.hint}.")
    if row.remedy:
        yield row.remedy


def _speakers(row: Row) -> str:
    findings = "What QEMU, libvirt, the kernel or KubeVirt say"
    return findings if isinstance(row, FindingKind) else "What is said"
