"""Findings as lines for people, and as an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml.errors import ExitCode
from domxml.finding import Finding, Severity
from hostdev.printing.cells import Cell, Row, Tone


def exit_code(findings: Iterable[Finding], fail_on: str | None) -> ExitCode:
    """DONE, or FINDINGS when one of them is at least as bad as `fail_on`."""
    return worst_exit_code((finding.severity for finding in findings), fail_on)


def worst_exit_code(severities: Iterable[Severity], fail_on: str | None) -> ExitCode:
    """The same for bare severities."""
    if fail_on is None:
        return ExitCode.DONE
    limit = Severity(fail_on).rank
    return ExitCode.FINDINGS if any(severity.rank >= limit for severity in severities) else ExitCode.DONE


TONES = {Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.WARN, Severity.INFO: Tone.FAINT}
INDENT = " " * 9


def finding_rows(found: Finding, *, evidence: bool = False) -> Iterator[Row]:
    """The finding, what to do about it, and what it rests on."""
    yield (Cell(f"{found.severity.upper():<9}", TONES[found.severity]), f"{found.message} ", code_cell(found.code))
    yield from detail_rows(found, evidence=evidence)


def detail_rows(found: Finding, *, evidence: bool = False) -> Iterator[Row]:
    """The hint of a finding, and what it rests on."""
    if found.hint:
        yield (INDENT, Cell("hint: ", Tone.STRONG), found.hint)
    if evidence:
        for seen in found.evidence:
            yield (Cell(f"{INDENT}seen: {seen.file}: {seen.content}", Tone.FAINT),)


def code_cell(name: str) -> Cell:
    """The code of a finding, as a lead to its explanation."""
    return Cell(f"[{name}]", Tone.FAINT)
