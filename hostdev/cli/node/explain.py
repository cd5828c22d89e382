"""`passgate node explain`: what a finding means, by its code or by somebody else's error message."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from domxml.errors import BadInput, ExitCode
from domxml.finding import FindingKind
from hostdev.catalogue import ALL, kind
from hostdev.catalogue.explain import match_text, page
from hostdev.cli import documents, output
from hostdev.cli.cells import Cell, Column, Fit
from hostdev.cli.screen import Screen
from hostdev.cli.tellings import TONES

TABLE = (Column("CODE"), Column("SEVERITY"), Column("TITLE", Fit.WRAP))


def run(arguments: argparse.Namespace) -> int:
    """Print a page for one finding, a list for several."""
    kinds = [kind(code) for code in _codes(arguments.code)]
    if arguments.output != "text":
        documents.emit(documents.document("Explanations", items=[_item(found) for found in kinds]), arguments.output)
    elif len(kinds) == 1:
        Screen.of(arguments.color).markdown(page(kinds[0]))
    else:
        _list(Screen.of(arguments.color), kinds)
    return ExitCode.DONE


def _codes(words: Sequence[str]) -> Sequence[str]:
    if not words:
        return tuple(ALL)
    if all(word in ALL for word in words):
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


def _item(found: FindingKind) -> documents.Document:
    return {
        "code": found.code,
        "severity": str(found.severity),
        "title": found.title,
        "cause": found.cause,
        "hint": found.hint,
        "remedy": found.remedy,
        "says": list(found.says),
    }


def _list(screen: Screen, kinds: Sequence[FindingKind]) -> None:
    screen.table(TABLE, [(found.code, Cell(found.severity, TONES[found.severity]), found.title) for found in kinds])
    output.tell("note: `passgate node explain CODE` explains one of them")
