"""`passgate node compare`: two machines, or one before and after."""

from __future__ import annotations

import argparse

from hostdev.cli import devices, documents
from hostdev.gate.compare import compare
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Column, Fit
from hostdev.printing.documents import document, emit, plain
from hostdev.printing.findings import TONES
from hostdev.printing.screen import Screen

TABLE = (Column("SEVERITY"), Column("SUBJECT"), Column("WHAT"), Column("CHANGE", Fit.WRAP))


def run(arguments: argparse.Namespace) -> int:
    """Compare, and say how bad the worst change is."""
    old, new = devices.machine_at(arguments.old), devices.machine_at(arguments.new)
    changes = compare(old, new)
    if arguments.output != "table":
        emit(
            document(
                "Comparison",
                old=documents.origin(old),
                new=documents.origin(new),
                changes=[plain(change) for change in changes],
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
        devices.note_unread(machine)
    return findings.worst_exit_code((change.severity for change in changes), arguments.fail_on)
