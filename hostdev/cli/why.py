"""`passgate why`: why a VM does not start, from the cluster through kubectl, or from what it printed."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from domxml.errors import BadInput, ExitCode
from hostdev.cli.dumpfiles import check_free, read_files, write_files
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit, Tone
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.screen import Screen
from hostdev.why.item import Item, Result
from hostdev.why.subject import Name, parse_name
from hostdev.why.why import Why, advice_for, explain_vm

if TYPE_CHECKING:
    from hostdev.cli.clusterdump import ClusterDump

TABLE = (
    Column("CHECK"),
    Column("RESULT"),
    Column("LOOKED AT", Fit.WRAP, spare=1),
    Column("MESSAGE", Fit.WRAP, least=30),
)
TONES = {Result.PASS: Tone.GOOD, Result.FAIL: Tone.BAD, Result.UNKNOWN: Tone.WARN}
_MOST_COMMANDS = 4


def run(arguments: argparse.Namespace) -> int:
    """Gather, judge, print; or gather and write down."""
    wanted = parse_name(arguments.vm, arguments.namespace or "")
    if arguments.source and arguments.collect:
        raise BadInput("bad-usage", "--from and --collect exclude each other", hint="a dump is there already")
    if arguments.source and arguments.context:
        raise BadInput("bad-usage", "--context is for a cluster, and --from names a dump", hint="leave one of them out")
    if arguments.collect:
        return _collect(arguments, wanted)
    why = _explain(arguments, wanted)
    if arguments.output == "table":
        _print(Screen.of(arguments.color), why)
    else:
        emit(_document(why), arguments.output)
        for note in why.notes:
            output.note(f"note: {note}")
    return why.exit_code


def _explain(arguments: argparse.Namespace, wanted: Name) -> Why:
    if arguments.source:
        return explain_vm(read_files(arguments.source), wanted)
    dump = _ask(arguments, wanted)
    return explain_vm(dump.gather(), wanted)


def _ask(arguments: argparse.Namespace, wanted: Name) -> ClusterDump:
    from hostdev.cli.clusterdump import ClusterDump  # noqa: PLC0415  a dump needs no kubectl
    from hostdev.cli.kubectl import Kubectl  # noqa: PLC0415  a dump needs no kubectl

    if not arguments.deadline > 0:
        raise BadInput("bad-usage", "--deadline must be more than 0", hint="such as --deadline 30")
    kubectl = Kubectl(context=arguments.context or "", namespace=wanted.namespace, deadline=arguments.deadline)
    return ClusterDump(kubectl, wanted)


def _collect(arguments: argparse.Namespace, wanted: Name) -> int:
    target = check_free(arguments.collect)
    dump = _ask(arguments, wanted)
    evidence = dump.gather()
    # A name that is not there is told now, and not by the reader of an empty dump.
    why = explain_vm(evidence, wanted)
    told = write_files(target, evidence, dump.files)
    output.note(f"note: {len(dump.files) + 1} files in {arguments.collect}")
    output.note(f"note: left out: {', '.join(told) if told else 'nothing was found that is secret'}")
    output.note("note: names of VMs, pods, nodes, images and networks are in it: read it before you share it")
    for gap in evidence.gaps:
        output.note(f"note: not there: {gap.what}: {gap.why}")
    space = f"-n {why.subject.namespace} " if why.subject.namespace else ""
    output.note(f"note: passgate why --from {shlex.quote(arguments.collect)} {space}{wanted.name}")
    return ExitCode.DONE


def _document(why: Why) -> Document:
    subject = why.subject
    return document(
        "Why",
        vm=subject.label,
        phase=subject.phase or None,
        source=subject.evidence.source,
        pod=subject.pod_name or None,
        node=subject.node or None,
        items=[item.as_dict() for item in why.items],
        first=_first(why, why.first) if why.first else None,
        complete=not why.unknown,
        notes=list(why.notes),
    )


def _first(why: Why, item: Item) -> Document:
    advice = advice_for(why, item)
    found = {**item.finding.as_dict(), "hint": advice.hint} if item.finding else None
    told = {"cause": advice.cause, "remedy": advice.remedy, "look": advice.look}
    return {"check": str(item.check), "finding": found, **told}


def _print(screen: Screen, why: Why) -> None:
    subject = why.subject
    where = f", pod {subject.pod_name}" if subject.pod_name else ""
    node = f" on {subject.node}" if subject.node else ""
    screen.line(Cell(subject.label, Tone.STRONG), f"{where}{node}{f', {subject.phase}' if subject.phase else ''}")
    rows = [(str(one.check), Cell(str(one.result), TONES[one.result]), one.looked, one.message) for one in why.items]
    screen.table(TABLE, rows)
    screen.line("")
    if why.first:
        _print_failure(screen, why, why.first)
    else:
        _print_rest(screen, why)
    for note in why.notes:
        output.note(f"note: {note}")


def _print_failure(screen: Screen, why: Why, item: Item) -> None:
    finding = item.finding
    if finding is None:
        return
    advice = advice_for(why, item)
    screen.line(Cell(f"{item.check} fails: ", Tone.BAD), f"{finding.what} ", Cell(f"[{finding.code}]", Tone.FAINT))
    screen.folded(Cell("cause:  ", Tone.STRONG), advice.cause, hang=8)
    screen.folded(Cell("hint:   ", Tone.STRONG), advice.hint, hang=8)
    for number, line in enumerate(advice.remedy.splitlines()):
        screen.folded(Cell("remedy: " if number == 0 else " " * 8, Tone.STRONG), line, hang=8)
    if advice.look:
        screen.line(Cell("look:   ", Tone.STRONG), advice.look)
    screen.line(Cell("page:   ", Tone.STRONG), f"passgate node explain {finding.code}")


def _print_rest(screen: Screen, why: Why) -> None:
    unknown = why.unknown
    if why.exit_code is ExitCode.DONE:
        rest = f"; unknown: {', '.join(str(one.check) for one in unknown)}" if unknown else ""
        screen.line(Cell("the VM runs, and nothing is seen to fail", Tone.GOOD), rest)
    else:
        names = ", ".join(str(one.check) for one in unknown)
        screen.line(
            Cell("not known", Tone.WARN), f": nothing is seen to fail, and the VM is not seen to run; unknown: {names}"
        )
    for one in [one for one in unknown if one.command][:_MOST_COMMANDS]:
        screen.line(Cell(f"look at {one.check}: ", Tone.STRONG), one.command)
