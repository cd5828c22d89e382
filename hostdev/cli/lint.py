"""`passgate lint`: what is wrong with a VM, before it is applied."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from domxml.errors import BadInput
from domxml.finding import Finding
from hostdev.cli import documents, endings, output
from hostdev.cli.cells import Cell, Column, Fit
from hostdev.cli.screen import Screen
from hostdev.cli.tellings import TONES
from hostdev.lint import lint
from hostdev.vmi.manifest import Manifest, parse_manifest
from hostdev.vmi.vmi import MAX_BYTES

TABLE = (
    Column("SEVERITY"),
    Column("CODE"),
    Column("WHERE", Fit.WRAP),
    Column("MESSAGE", Fit.WRAP, least=30),
    Column("HINT", Fit.WRAP, least=20, spare=True),
)


def run(arguments: argparse.Namespace) -> int:
    """Read the manifest, tell what is found."""
    manifest = parse_manifest(_read(arguments.vmi))
    findings = lint(manifest)
    if arguments.output != "table":
        documents.emit(_document(manifest, findings), arguments.output)
    elif findings:
        Screen.of(arguments.color).table(TABLE, [_row(finding) for finding in findings])
    else:
        output.tell(f"note: nothing is wrong with {manifest}")
    return endings.after(findings, arguments.fail_on)


def _read(name: str) -> bytes:
    try:
        if name == "-":
            if sys.stdin is None:
                raise BadInput("no-input", "standard input is closed")
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(name, "rb") as file:  # noqa: PTH123  as everywhere
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot read the manifest: {error.strerror}"
        raise BadInput("unreadable-file", what, subject=name, hint="name a file, or - for standard input") from None


def _row(finding: Finding) -> tuple[Cell | str, ...]:
    severity = Cell(finding.severity, TONES[finding.severity])
    return (severity, finding.code, finding.subject, finding.message, Cell(finding.hint))


def _document(manifest: Manifest, findings: Sequence[Finding]) -> documents.Document:
    return documents.document(
        "Lint",
        object={"kind": manifest.kind, "namespace": manifest.vmi.namespace, "name": manifest.vmi.name},
        items=[finding.as_dict() for finding in findings],
    )
