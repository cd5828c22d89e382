"""`passgate node compare`: two machines, or one before and after."""

from __future__ import annotations

import argparse

from hostdev.cli import documents, endings, look, output
from hostdev.cli.cells import Cell, Column, Fit
from hostdev.cli.comparison import compare
from hostdev.cli.screen import Screen
from hostdev.cli.tellings import TONES

TABLE = (Column("SEVERITY"), Column("SUBJECT"), Column("WHAT"), Column("CHANGE", Fit.WRAP))


def run(arguments: argparse.Namespace) -> int:
    """Compare, and say how bad the worst change is."""
    old, new = look.machine(arguments.old), look.machine(arguments.new)
    changes = compare(old, new)
    if arguments.output != "table":
        documents.emit(
            documents.document(
                "Comparison",
                old=documents.origin(old),
                new=documents.origin(new),
                changes=[documents.plain(change) for change in changes],
            ),
            arguments.output,
        )
    elif changes:
        rows = [
            (Cell(change.severity, TONES[change.severity]), change.subject, change.code, change.message)
            for change in changes
        ]
        Screen.of(arguments.color).table(TABLE, rows)
    else:
        output.write("nothing changed\n")
    for machine in (old, new):
        look.tell_unread(machine)
    return endings.worst((change.severity for change in changes), arguments.fail_on)
