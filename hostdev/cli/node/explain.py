"""`passgate node explain`: what a finding or an error means, by its code or by the message of another program."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from domxml.errors import BadInput, ExitCode
from domxml.finding import FindingKind
from hostdev.findings.explain import EXPLAINED, Row, match_text, page
from hostdev.findings.registry import look_up
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.findings import TONES
from hostdev.printing.screen import Screen

TABLE = (Column("CODE"), Column("SEVERITY"), Column("TITLE", Fit.WRAP))


def run(arguments: argparse.Namespace) -> int:
    """Print a page for one finding, a list for several."""
    rows = [look_up(EXPLAINED, code) for code in _codes(arguments.code)]
    if arguments.output != "text":
        emit(document("Explanations", items=[_item(row) for row in rows]), arguments.output)
    elif len(rows) == 1:
        Screen.of(arguments.color).markdown(page(rows[0]))
    else:
        _list(Screen.of(arguments.color), rows)
    return ExitCode.DONE


def _codes(words: Sequence[str]) -> Sequence[str]:
    if not words:
        return tuple(EXPLAINED)
    if all(word in EXPLAINED for word in words):
        return words
    text = _input() if words == ["-"] else " ".join(words)
    codes = match_text(text)
    if codes:
        return codes
    if len(words) == 1 and words != ["-"] and " " not in words[0]:
        return words
    raise BadInput(
        "unknown-text",
        "no finding is known that says this",
        hint="paste the message of QEMU, libvirt or the kernel as it is; `passgate node explain` lists the codes",
    )


def _input() -> str:
    if sys.stdin is None:
        raise BadInput("no-input", "standard input is closed")
    return sys.stdin.buffer.read().decode(errors="replace")


def _item(row: Row) -> Document:
    return {
        "code": row.code,
        "severity": str(row.severity) if isinstance(row, FindingKind) else None,
        "title": row.title,
        "cause": row.cause,
        "hint": row.hint,
        "remedy": row.remedy,
        "says": list(row.says),
    }


def _list(screen: Screen, rows: Sequence[Row]) -> None:
    screen.table(TABLE, [(row.code, _severity(row), row.title) for row in rows])
    output.note("note: `passgate node explain CODE` explains one of them")


def _severity(row: Row) -> Cell | str:
    return Cell(row.severity, TONES[row.severity]) if isinstance(row, FindingKind) else dash(None)
