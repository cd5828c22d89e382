"""Findings as lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Finding, Severity
from hostdev.cli.cells import Cell, Row, Tone

TONES = {Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.WARN, Severity.INFO: Tone.FAINT}
INDENT = " " * 9


def finding(found: Finding, *, evidence: bool = False) -> Iterator[Row]:
    """The finding, what to do about it, and what it rests on."""
    yield (Cell(f"{found.severity.upper():<9}", TONES[found.severity]), f"{found.message} ", code(found.code))
    yield from details(found, evidence=evidence)


def details(found: Finding, *, evidence: bool = False) -> Iterator[Row]:
    """What to do about a finding, and what it rests on."""
    if found.hint:
        yield (INDENT, Cell("hint: ", Tone.STRONG), found.hint)
    if evidence:
        for seen in found.evidence:
            yield (Cell(f"{INDENT}seen: {seen.file}: {seen.content}", Tone.FAINT),)


def code(name: str) -> Cell:
    """The code of a finding, as a lead to its explanation."""
    return Cell(f"[{name}]", Tone.FAINT)
