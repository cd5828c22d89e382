"""`passgate node doctor`: every check, from the firmware down to each device, with what is right as well."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from hostdev.cli import devices, documents
from hostdev.cli.devices import accept, select
from hostdev.gate.doctor import Check, Status, checks
from hostdev.inventory.machine import Machine
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Tone
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.screen import Screen

TONES = {
    Status.PASS: Tone.GOOD,
    Status.INFO: Tone.PLAIN,
    Status.WARN: Tone.WARN,
    Status.UNKNOWN: Tone.WARN,
    Status.FAIL: Tone.BAD,
}


def run(arguments: argparse.Namespace) -> int:
    """Check the host, and the devices named or those on a vfio driver."""
    machine = devices.machine_at(arguments.host)
    named = select(machine, arguments.address)
    addresses = [f.address for f in machine.functions.values() if is_on_vfio(f)] if named is None else named
    done = checks(machine, addresses, accept(arguments.despite, named))
    if not addresses:
        output.note("note: no device is on a vfio driver; name those that shall go to a VM")
    if arguments.output == "text":
        _print(Screen.of(arguments.color), done)
    else:
        emit(_document(machine, done), arguments.output)
    return findings.exit_code((found for check in done for found in check.findings), arguments.fail_on)


def _print(screen: Screen, done: Sequence[Check]) -> None:
    for subject, part in groupby(done, key=lambda check: check.subject):
        screen.line(Cell(subject, Tone.STRONG))
        for check in part:
            screen.line("  ", Cell(f"{check.status:<7}", TONES[check.status]), f"  {check.title}: {check.detail}")
            for found in check.findings:
                for row in findings.detail_rows(found):
                    screen.line("  ", *row)
        screen.line()
    counts = Counter(check.status for check in done)
    screen.line(", ".join(f"{counts[status]} {status}" for status in Status if counts[status]))


def _document(machine: Machine, done: Sequence[Check]) -> Document:
    return document(
        "Findings",
        machine=documents.origin(machine),
        checks=[
            {
                "subject": check.subject,
                "name": check.name,
                "title": check.title,
                "status": str(check.status),
                "detail": check.detail,
                "codes": [found.code for found in check.findings],
            }
            for check in done
        ],
        items=[found.as_dict() for check in done for found in check.findings],
    )
