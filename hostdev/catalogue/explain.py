"""`passgate node explain`: a finding as a page of Markdown, and from a pasted error text to the findings behind it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from domxml.finding import FindingKind, Severity
from hostdev.catalogue import ALL, kind
from hostdev.catalogue.words import matcher, shown

MEANING: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.ERROR: "the VM would not start, or the host would be harmed",
        Severity.WARNING: "the VM may start, and something is likely to go wrong",
        Severity.INFO: "worth knowing, nothing is wrong",
    }
)


def explain(code: str) -> str:
    """The page of a finding: what it means, what others say of it, what to do."""
    return page(kind(code))


def page(row: FindingKind) -> str:
    """A row of the table as Markdown."""
    parts = [
        f"# {row.code}",
        f"{row.title}.",
        f"Severity: **{row.severity}** ({MEANING[row.severity]}).",
        "## What it means",
        row.cause,
        *_words(row),
        "## What to do",
        f"In short: {row.hint}.",
        row.remedy,
    ]
    return "\n\n".join(parts) + "\n"


def match_text(text: str) -> tuple[str, ...]:
    """The codes whose words stand in a text: an error message, a part of one, or a whole log."""
    matches = matcher(text)
    return tuple(code for code, row in ALL.items() if any(matches(template) for template in row.says))


def _words(row: FindingKind) -> tuple[str, ...]:
    if not row.says:
        return ()
    lines = "\n".join(shown(template) for template in row.says)
    return ("## What QEMU, libvirt, the kernel or KubeVirt say", f"```text\n{lines}\n```")
