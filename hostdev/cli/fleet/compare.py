"""`passgate fleet compare`: what an upgrade did to all nodes, as one table of what changed, and node by node."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding, Severity
from domxml.text import listed
from hostdev.cli.fleet.survey import Head, Moment, each_node, head_of, note_findings, open_fleet, read_moment
from hostdev.findings.fleet import SNAPSHOT_UNREADABLE
from hostdev.fleet.node import Node
from hostdev.fleet.snapshots import Broken, Snapshot, read_older
from hostdev.gate.compare import Change, compare
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit
from hostdev.printing.documents import Document, document, emit, plain
from hostdev.printing.findings import TONES, worst_exit_code
from hostdev.printing.screen import Screen

SUMMARY = (
    Column("SEVERITY"),
    Column("WHAT"),
    Column("NODES"),
    Column("CHANGES"),
    Column("ON", Fit.CUT, least=12),
    Column("FOR EXAMPLE", Fit.WRAP, least=30),
)
EVERY = (Column("NODE"), Column("SEVERITY"), Column("SUBJECT"), Column("WHAT"), Column("CHANGE", Fit.WRAP, least=30))
_ByName = Mapping[str, Snapshot]


class Compared(NamedTuple):
    """A node that is in both fleets."""

    node: str
    old: Head | None
    new: Head | None
    changes: tuple[Change, ...]
    finding: Finding | None = None
    """Why its older snapshot could not be read."""


class Tally(NamedTuple):
    """One kind of change over all nodes."""

    severity: Severity
    code: str
    nodes: tuple[str, ...]
    changes: int
    example: str


def run(arguments: argparse.Namespace) -> int:
    """Compare the nodes that both have, and name the others."""
    moment = read_moment(arguments)
    old, new = open_fleet(arguments.old), open_fleet(arguments.new)
    before = {one.node: one for one in old.snapshots}
    came = [name for name in new.names if name not in before]
    gone = [name for name in old.names if name not in set(new.names)]
    both = new._replace(snapshots=tuple(one for one in new.snapshots if one.node in before))
    after = {one.node: one for one in both.snapshots}
    found = list(each_node(both, partial(_compare, before=before, after=after, moment=moment)))
    broken = [one.finding for one in found if isinstance(one, Broken)]
    compared = [one for one in found if isinstance(one, Compared)]
    unread = [one.finding for one in compared if one.finding]
    note_findings(unread)
    tallies = count_changes(compared)
    every = [*old.findings, *new.findings, *broken, *unread]
    if arguments.output in {"json", "yaml"}:
        told = {"came": came, "gone": gone, "findings": [one.as_dict() for one in every]}
        emit(_document(arguments, compared, tallies, told), arguments.output)
    else:
        _print(Screen.of(arguments.color), compared, tallies, wide=arguments.output == "wide")
        for word, names in (("came", came), ("gone", gone)):
            if names:
                output.note(f"note: {len(names)} {word}: {listed(names, 12)}")
    severities = [*(one.severity for one in every), *(one.severity for one in tallies)]
    return worst_exit_code([*severities, *([Severity.WARNING] if gone else [])], arguments.fail_on)


def _compare(node: Node, *, before: _ByName, after: _ByName, moment: Moment) -> Compared:
    try:
        old = read_older(before[node.name], after[node.name], node)
    except PassgateError as error:
        subject = f"{before[node.name].path.parent}/{before[node.name].path.name}"
        return Compared(node.name, None, None, (), SNAPSHOT_UNREADABLE.found(subject, error.message))
    before_head, head = (head_of(one, moment, judged=False) for one in (old, node))
    changes = () if old.machine is node.machine else compare(old.machine, node.machine)
    return Compared(node.name, before_head, head, changes)


def count_changes(compared: Iterable[Compared]) -> list[Tally]:
    """Add up the changes of all nodes by what they are, the worst first, then those of the most nodes."""
    found: dict[tuple[Severity, str], list[tuple[str, Change]]] = {}
    for one in compared:
        for change in one.changes:
            found.setdefault((change.severity, change.code), []).append((one.node, change))
    tallies = [
        Tally(
            severity,
            code,
            tuple(dict.fromkeys(node for node, _ in told)),
            len(told),
            f"{told[0][0]}: {told[0][1].subject}: {told[0][1].message}",
        )
        for (severity, code), told in found.items()
    ]
    return sorted(tallies, key=lambda one: (-one.severity.rank, -len(one.nodes), one.code))


def _document(
    arguments: argparse.Namespace, compared: Sequence[Compared], tallies: Sequence[Tally], told: Document
) -> Document:
    return document(
        "FleetComparison",
        old=arguments.old,
        new=arguments.new,
        summary=[
            {
                "severity": str(one.severity),
                "code": one.code,
                "nodes": list(one.nodes),
                "changes": one.changes,
                "example": one.example,
            }
            for one in tallies
        ],
        items=[
            {
                "node": one.node,
                "old": one.old and one.old.as_dict(),
                "new": one.new and one.new.as_dict(),
                "changes": [plain(change) for change in one.changes],
            }
            for one in compared
        ],
        **told,
    )


def _print(screen: Screen, compared: Sequence[Compared], tallies: Sequence[Tally], *, wide: bool) -> None:
    same = sum(not one.changes and one.finding is None for one in compared)
    if not tallies:
        output.write("nothing changed\n" if compared else "no node is in both\n")
    elif wide:
        rows = [
            (one.node, Cell(each.severity, TONES[each.severity]), each.subject, each.code, each.message)
            for one in compared
            for each in one.changes
        ]
        screen.table(EVERY, rows, whole=True)
    else:
        screen.table(SUMMARY, [_row(one) for one in tallies])
    output.note(f"note: {len(compared)} nodes compared, {same} unchanged")


def _row(one: Tally) -> tuple[Cell | str, ...]:
    severity = Cell(one.severity, TONES[one.severity])
    return (severity, one.code, str(len(one.nodes)), str(one.changes), listed(one.nodes), one.example)
