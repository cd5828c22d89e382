"""`passgate fleet list`: the nodes, what they could give to VMs, what keeps them from it, and how old that is."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from domxml.errors import ExitCode
from domxml.finding import Finding
from domxml.text import visible
from hostdev.cli.fleet.survey import (
    Head,
    Moment,
    each_node,
    find_twins,
    head_of,
    note_findings,
    open_fleet,
    read_moment,
)
from hostdev.findings.fleet import SNAPSHOT_STALE, SNAPSHOT_TWICE
from hostdev.fleet.node import Node, State
from hostdev.fleet.snapshots import Broken
from hostdev.inventory import pciids
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Fit, Tone, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.fields import Field, Listing, check_form, write_lines

_SHOWN = 3


class NodeRow(NamedTuple):
    """A node, or a file that is none."""

    head: Head
    states: Mapping[State, int]
    blockers: Sequence[tuple[str, int]] = ()
    """By how many units they block, the most first."""
    unseen: Sequence[tuple[str, str]] = ()
    is_read: bool = True

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.head.findings


def run(arguments: argparse.Namespace) -> int:
    """List the nodes."""
    if not check_form(LISTING, arguments):
        return ExitCode.DONE
    if arguments.html:
        return _page(arguments)
    moment = read_moment(arguments)
    fleet = open_fleet(arguments.fleet)
    rows = [_row(one) for one in each_node(fleet, partial(_summary, moment=moment))]
    rows = LISTING.sorted(_with_twins(rows), arguments.sort)
    if arguments.output == "name":
        output.write("".join(f"{visible(row.head.node)}\n" for row in rows if row.is_read))
    elif arguments.output == "jsonl":
        write_lines(_item(row) for row in rows)
    elif arguments.output in {"json", "yaml"}:
        told = [found.as_dict() for found in fleet.findings]
        emit(
            document("FleetNodeList", fleet=fleet.directory, items=[_item(row) for row in rows], findings=told),
            arguments.output,
        )
    else:
        note_findings(found for row in rows for found in row.findings if found.code == SNAPSHOT_TWICE.code)
        LISTING.write(arguments, rows)
        _note_totals(arguments, rows)
    every = (*fleet.findings, *(found for row in rows for found in row.findings))
    return findings.exit_code(every, arguments.fail_on)


def _page(arguments: argparse.Namespace) -> int:
    from hostdev.cli.page import page  # noqa: PLC0415  a table needs none

    page.check_page(arguments)
    moment = read_moment(arguments)
    drawing = page.draw_fleet(open_fleet(arguments.fleet), moment, pciids.namer())
    page.save_page(arguments.html, drawing, moment)
    return findings.exit_code(drawing.findings, arguments.fail_on)


def _summary(node: Node, *, moment: Moment) -> NodeRow:
    blockers = sorted(node.blockers.items(), key=lambda pair: (-pair[1], pair[0]))
    return NodeRow(head_of(node, moment), dict(node.states), blockers, node.unseen)


def _row(one: NodeRow | Broken) -> NodeRow:
    if isinstance(one, Broken):
        return NodeRow(Head(one.node, findings=(one.finding,)), {}, is_read=False)
    return one


def _with_twins(rows: Sequence[NodeRow]) -> list[NodeRow]:
    """Rows of which two are one machine are told so."""
    found = {row.head.node: row for row in rows}
    for told in find_twins(row.head for row in rows):
        row = found[told.subject]
        found[told.subject] = row._replace(head=row.head._replace(findings=(*row.findings, told)))
    return list(found.values())


def _item(row: NodeRow) -> Document:
    return {
        **row.head.as_dict(),
        "units": {str(state): row.states.get(state, 0) for state in State} if row.is_read else None,
        "blockers": [{"code": code, "units": count} for code, count in row.blockers],
        "unseen": [{"what": what, "why": why} for what, why in row.unseen],
        "findings": [found.as_dict() for found in row.findings],
    }


def _note_totals(arguments: argparse.Namespace, rows: Sequence[NodeRow]) -> None:
    if arguments.output == "csv" or len(rows) < 2:
        return
    counts = {state: sum(row.states.get(state, 0) for row in rows) for state in State}
    told = ", ".join(f"{counts[state]} {state}" for state in State if counts[state] or state is State.READY)
    unread = sum(not row.is_read for row in rows)
    output.note(f"note: {len(rows) - unread} nodes, units: {told}" + (f"; {unread} files not read" if unread else ""))


def _count(row: NodeRow, state: State, tone: Tone) -> Cell:
    count = row.states.get(state, 0)
    return Cell(str(count) if row.is_read else "-", tone if count else Tone.FAINT)


def _blocked_by(row: NodeRow) -> Cell:
    if not row.is_read:
        return Cell(row.findings[0].code, Tone.BAD)
    words = [f"{code} {count}" for code, count in row.blockers[:_SHOWN]]
    more = len(row.blockers) - _SHOWN
    return Cell(dash(", ".join(words)) + (f" (+{more})" if more > 0 else ""))


def _age(row: NodeRow) -> Cell:
    is_old = any(found.code == SNAPSHOT_STALE.code for found in row.findings)
    return Cell(row.head.age, Tone.WARN if is_old or row.head.seconds is None else Tone.PLAIN)


FIELDS: tuple[Field[NodeRow], ...] = (
    Field("NODE", "its name, which is that of its file", lambda row: Cell(row.head.node, Tone.STRONG)),
    Field("READY", "units that a VM can have now", lambda row: _count(row, State.READY, Tone.GOOD)),
    Field("HELD", "units that something has open", lambda row: _count(row, State.HELD, Tone.WARN)),
    Field("BLOCKED", "units that something keeps from VMs", lambda row: _count(row, State.BLOCKED, Tone.PLAIN)),
    Field("BY", "the codes of what does, and how many units each", _blocked_by, Fit.WRAP, least=24),
    Field("AGE", "how old the snapshot is; ? where it does not say when it was taken", _age, spare=1),
    Field("UNKNOWN", "units of which not all could be seen", lambda row: _count(row, State.UNKNOWN, Tone.WARN)),
    Field("KERNEL", "the kernel's release", lambda row: dash(row.head.kernel)),
    Field("TAKEN", "when the snapshot was taken", lambda row: dash(row.head.taken)),
    Field("PASSGATE", "the version that took it", lambda row: dash(row.head.passgate)),
    Field("FINDINGS", "what is to be said of the snapshot", lambda row: dash(" ".join(f.code for f in row.findings))),
    Field("UNSEEN", "how many things it could not look at", lambda row: str(len(row.unseen))),
    Field("BOOT", "the boot id of its kernel", lambda row: dash(row.head.boot)),
)
LISTING = Listing(FIELDS, tuple(field.name for field in FIELDS[:6]), tuple(field.name for field in FIELDS[:11]))
