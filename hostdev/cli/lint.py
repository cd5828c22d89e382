"""`passgate lint`: what is wrong with a VM, before it is applied."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from domxml.errors import BadInput
from domxml.finding import Finding
from hostdev.inject.gather import read_file
from hostdev.lint.lint import lint
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.findings import TONES, exit_code, finding_rows
from hostdev.printing.screen import Screen
from hostdev.vmi.file import Manifest, parse_manifest
from hostdev.vmi.vmi import MAX_BYTES

TABLE = (Column("SEVERITY"), Column("CODE"), Column("WHERE"), Column("MESSAGE"), Column("HINT"))


def run(arguments: argparse.Namespace) -> int:
    """Read the manifest, tell what is found."""
    manifest = parse_manifest(_read(arguments.vmi))
    findings = lint(manifest)
    if arguments.output != "table":
        emit(_document(manifest, findings), arguments.output)
    else:
        _print(Screen.of(arguments.color), manifest, findings)
    return exit_code(findings, arguments.fail_on)


def _read(name: str) -> bytes:
    if name != "-":
        return read_file(name)
    if sys.stdin is None:
        raise BadInput("no-input", "standard input is closed")
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def _print(screen: Screen, manifest: Manifest, findings: Sequence[Finding]) -> None:
    if not findings:
        output.note(f"note: nothing is wrong with {manifest}")
    elif screen.terminal:
        # Places are long, and a table on a terminal would cut them.
        for found in findings:
            for row in finding_rows(found._replace(message=found.what)):
                screen.line(*row)
    else:
        screen.table(TABLE, [_row(finding) for finding in findings])


def _row(finding: Finding) -> tuple[Cell | str, ...]:
    severity = Cell(finding.severity, TONES[finding.severity])
    return (severity, finding.code, finding.subject, finding.message, dash(finding.hint))


def _document(manifest: Manifest, findings: Sequence[Finding]) -> Document:
    return document(
        "Lint",
        object={"kind": manifest.kind, "namespace": manifest.vmi.namespace, "name": manifest.vmi.name},
        items=[finding.as_dict() for finding in findings],
    )
