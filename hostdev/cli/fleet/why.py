"""`passgate fleet why` and `fleet capacity`: which nodes can run a VM, how many of them, and why the others cannot."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from domxml.errors import ExitCode
from domxml.finding import Finding, Severity
from hostdev.cli.fleet.demand import read_asked
from hostdev.cli.fleet.survey import Head, Moment, each_node, head_of, open_fleet, read_moment
from hostdev.findings.fleet import NODE_NOT_GIVEN, SNAPSHOT_AGE_UNKNOWN, SNAPSHOT_PARTIAL
from hostdev.fleet.demand import Demand, describe_unknown
from hostdev.fleet.node import Node
from hostdev.fleet.nodeobject import describe_gaps
from hostdev.fleet.placement import Answer, Asked, Verdict, place
from hostdev.fleet.snapshots import Broken, Fleet
from hostdev.inventory import pciids
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit, Tone
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.findings import worst_exit_code
from hostdev.printing.screen import Screen

if TYPE_CHECKING:
    from hostdev.cli.page.content import NodeDrawing

TONES = {Verdict.YES: Tone.GOOD, Verdict.NOT_NOW: Tone.WARN, Verdict.NEVER: Tone.BAD, Verdict.UNKNOWN: Tone.WARN}
WORDS = {Verdict.YES: "yes", Verdict.NOT_NOW: "not now", Verdict.NEVER: "never", Verdict.UNKNOWN: "unknown"}
WHY = (
    Column("NODE"),
    Column("VERDICT"),
    Column("AGE"),
    Column("CODE"),
    Column("SUBJECT"),
    Column("WHAT", Fit.WRAP, least=30),
)
WIDE = (*WHY, Column("REMEDY", Fit.WRAP, least=30))
CAPACITY = (Column("NODE"), Column("FIT"), Column("AGE"), Column("WHY", Fit.WRAP, least=30))
_QUIET = frozenset({NODE_NOT_GIVEN.code, SNAPSHOT_AGE_UNKNOWN.code, SNAPSHOT_PARTIAL.code})
"""Said of many nodes alike: a table has them once, below."""
_ORDER = (Verdict.YES, Verdict.NOT_NOW, Verdict.UNKNOWN, Verdict.NEVER)


class Judged(NamedTuple):
    """A node and its answer."""

    head: Head
    answer: Answer
    drawing: NodeDrawing | None = None
    """For a page."""

    @property
    def told(self) -> list[Finding]:
        """What a table shows of it."""
        return [one for one in self.answer.findings if one.code not in _QUIET]


def run(arguments: argparse.Namespace) -> int:
    """Judge every node."""
    if arguments.html:
        return _page(arguments)
    asked, fleet, judged = _judge(arguments, read_moment(arguments))
    judged = _by_verdict(judged)
    if arguments.output in {"json", "yaml"}:
        items = [
            {**one.head.as_dict(), "verdict": str(one.answer.verdict), "findings": _plain(one.answer.findings)}
            for one in judged
        ]
        emit(_document("FleetWhy", fleet, asked.demand, items=items), arguments.output)
    else:
        _print_why(Screen.of(arguments.color), judged, wide=arguments.output == "wide")
        _note(asked, judged, fleet)
    return _code(judged, arguments)


def _page(arguments: argparse.Namespace) -> int:
    from hostdev.cli.page import content, page  # noqa: PLC0415  a table needs none

    page.check_page(arguments)
    moment = read_moment(arguments)
    asked, fleet, judged = _judge(arguments, moment, draw=partial(content.draw_node, names=pciids.namer()))
    nodes = [one.drawing for one in judged if one.drawing]
    broken = [found for one in judged if not one.drawing for found in one.answer.findings]
    drawing = page.FleetDrawing(fleet.directory, nodes, (*fleet.findings, *broken))
    answers = {one.head.node: one.answer for one in _by_verdict(judged)}
    page.save_page(arguments.html, drawing, moment, content.why_content(asked.demand.vm, answers))
    _note(asked, judged, fleet)
    return _code(judged, arguments)


def run_capacity(arguments: argparse.Namespace) -> int:
    """Count how many such VMs each node has room for now."""
    asked, fleet, judged = _judge(arguments, read_moment(arguments))
    least = sum(one.answer.least for one in judged)
    counts = [one.answer.most for one in judged]
    most = None if None in counts else sum(filter(None, counts))
    if arguments.output in {"json", "yaml"}:
        items = [{**one.head.as_dict(), "atLeast": one.answer.least, "atMost": one.answer.most} for one in judged]
        emit(
            _document("FleetCapacity", fleet, asked.demand, items=items) | {"atLeast": least, "atMost": most},
            arguments.output,
        )
    else:
        rows = [_row_of_capacity(one) for one in judged if arguments.output == "wide" or one.answer.most != 0]
        screen = Screen.of(arguments.color)
        if rows:
            screen.table(CAPACITY, rows, whole=arguments.output == "wide")
        screen.line(Cell(f"{_between(least, most)} such VMs fit", Tone.STRONG), f" on {len(judged)} nodes")
        _note(asked, judged, fleet)
    return ExitCode.DONE if arguments.fail_on is None or least else ExitCode.FINDINGS


def _judge(
    arguments: argparse.Namespace, moment: Moment, draw: Callable[..., NodeDrawing] | None = None
) -> tuple[Asked, Fleet, list[Judged]]:
    asked = read_asked(arguments, moment)
    fleet = open_fleet(arguments.fleet)
    judged = [_read(one) for one in each_node(fleet, partial(_place, asked=asked, moment=moment, draw=draw))]
    return asked, fleet, judged


def _by_verdict(judged: Iterable[Judged]) -> list[Judged]:
    """Those that say yes first, then by name."""
    return sorted(judged, key=lambda one: _ORDER.index(one.answer.verdict))


def _place(node: Node, *, asked: Asked, moment: Moment, draw: Callable[..., NodeDrawing] | None) -> Judged:
    return Judged(head_of(node, moment), place(node, asked), draw(node, moment) if draw else None)


def _read(one: Judged | Broken) -> Judged:
    if isinstance(one, Broken):
        return Judged(Head(one.node), Answer(Verdict.UNKNOWN, (one.finding,), 0, None))
    return one


def _document(kind: str, fleet: Fleet, demand: Demand, *, items: Sequence[Document]) -> Document:
    return document(
        kind,
        fleet=fleet.directory,
        vm=demand.vm,
        wants=[
            {"name": one.name, "count": one.quantity, "by": one.meaning.by if one.meaning else None}
            for one in demand.wants
        ],
        unknown=list(describe_unknown(demand)),
        items=list(items),
        findings=_plain(fleet.findings),
    )


def _plain(found: Sequence[Finding]) -> list[Document]:
    return [one.as_dict() for one in found]


def _print_why(screen: Screen, judged: Sequence[Judged], *, wide: bool) -> None:
    rows = []
    for one in judged:
        verdict = Cell(WORDS[one.answer.verdict], TONES[one.answer.verdict])
        told = one.told
        for number, found in enumerate(told if wide else told[:1]):
            more = f" (+{len(told) - 1})" if not wide and len(told) > 1 else ""
            head = (one.head.node, verdict, one.head.age) if number == 0 else ("", "", "")
            rows.append((*head, found.code, found.subject, found.message + more, *([found.hint] if wide else [])))
        if not told:
            rows.append((one.head.node, verdict, one.head.age, "-", "-", "-", *(["-"] if wide else [])))
    if rows:
        screen.table(WIDE if wide else WHY, rows, whole=wide)


def _row_of_capacity(one: Judged) -> tuple[Cell | str, ...]:
    answer = one.answer
    tone = Tone.GOOD if answer.least else TONES[answer.verdict]
    why = one.told[0].what if one.told and not answer.least else "-"
    return (one.head.node, Cell(_between(answer.least, answer.most), tone), one.head.age, why)


def _between(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {least}, at most unknown"
    return str(least) if least == most else f"at least {least}, at most {most}"


def _note(asked: Asked, judged: Sequence[Judged], fleet: Fleet) -> None:
    """What is said once, below a table."""
    counts = Counter(one.answer.verdict for one in judged)
    told = ", ".join(f"{counts[verdict]} {WORDS[verdict]}" for verdict in _ORDER if counts[verdict])
    output.note(f"note: {asked.demand.vm}: {told or 'no node'}")
    for sentence in describe_unknown(asked.demand):
        output.note(f"note: unknown: {sentence}")
    gaps = describe_gaps(fleet.names, asked.nodes)
    if gaps and fleet.snapshots:
        output.note(f"note: labels, taints, CPU and memory were not looked at: {gaps}; --nodes FILE takes them")
    for code, what in (
        (SNAPSHOT_AGE_UNKNOWN.code, "do not say when they were taken"),
        (SNAPSHOT_PARTIAL.code, "could not see all of their host"),
    ):
        count = sum(any(found.code == code for found in one.answer.findings) for one in judged)
        if count:
            output.note(f"note: {count} snapshots {what} [{code}]")


def _code(judged: Sequence[Judged], arguments: argparse.Namespace) -> ExitCode:
    """With --fail-on error it fails where no node says yes, with warning where one does not."""
    yes = [one.answer.verdict is Verdict.YES for one in judged]
    worst = [Severity.ERROR] if not any(yes) else [Severity.WARNING] if not all(yes) else []
    return worst_exit_code(worst, arguments.fail_on)
