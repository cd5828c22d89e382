"""`passgate node state`: a NodeState file beside this node."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domxml.errors import BadInput, ExitCode
from domxml.text import listed
from hostdev.binding.bootline import Boot, read_boot
from hostdev.binding.drift import Drift, compare
from hostdev.binding.export import export
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import BadState, read_states, state_for
from hostdev.binding.status import Line, Standing, kernel_lines, standing_of
from hostdev.cli import devices, documents
from hostdev.inject import gather
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Column, Fit, Tone, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.output import progress
from hostdev.printing.screen import Screen

TABLE = (Column("ENTRY"), Column("DEVICE"), Column("STATE"), Column("DRIFT", Fit.WRAP))
TONES = {
    Standing.HELD: Tone.GOOD,
    Standing.DRIFTED: Tone.WARN,
    Standing.WAITING: Tone.WARN,
    Standing.REFUSED: Tone.BAD,
    Standing.UNKNOWN: Tone.WARN,
}


class Wanted(NamedTuple):
    """A node, and what a file declares for it."""

    machine: Machine
    boot: Boot
    state: NodeState


def export_state(arguments: argparse.Namespace) -> int:
    """Write the node as a file."""
    with progress(f"looking at {arguments.host}"), open_host(arguments.host) as host:
        machine = scan(host)
        boot = read_boot(host, machine)
        name = arguments.name or _host_name(host.read("proc/sys/kernel/hostname"))
    emit(export(machine, boot, name, by_path=arguments.by == "path"), arguments.output)
    devices.note_unread(machine)
    return ExitCode.DONE


def show_status(arguments: argparse.Namespace) -> int:
    """Print how each entry stands; 1 where one is not held."""
    wanted = load(arguments)
    lines = tuple(status_lines(wanted))
    if arguments.output == "table":
        _print(Screen.of(arguments.color), lines)
    else:
        emit(_document(wanted.machine, lines), arguments.output)
    devices.note_unread(wanted.machine)
    return ExitCode.DONE if all(line.standing is Standing.HELD for line in lines) else ExitCode.FINDINGS


def status_lines(wanted: Wanted) -> Iterator[Line]:
    """Every device of every entry, then what is declared of the kernel."""
    for item in compare(wanted.state, wanted.machine):
        standing = standing_of(item, (), frozenset())
        device = str(item.device) if item.device else None
        yield Line(item.entry.place, device, standing, item.drift, item.findings)
    yield from kernel_lines(wanted.state, wanted.boot)


def load(arguments: argparse.Namespace) -> Wanted:
    """Read the file, look at the node, and take what is for it."""
    states = read_file(arguments.file)
    modules = {option.module for state in states for option in state.options}
    with progress(f"looking at {arguments.host}"), open_host(arguments.host) as host:
        machine = scan(host)
        boot = read_boot(host, machine, modules)
        node = arguments.node or _host_name(host.read("proc/sys/kernel/hostname")) or None
    state = state_for(states, machine, node)
    if state is None:
        names = [state.name for state in states if state.name]
        output.note(f"note: none of {len(states)} documents is for {node or 'this node'}: {listed(names)}")
    return Wanted(machine, boot, state or NodeState())


def read_file(name: str) -> tuple[NodeState, ...]:
    """Read a file; every mistake in it is told with its place."""
    try:
        return read_states(gather.read_file(name), "standard input" if name == "-" else name)
    except BadState as error:
        for flaw in error.flaws[:-1]:
            output.note(f"error: {flaw.place}: {flaw.finding.what} [{flaw.finding.code}]")
            output.note(f"hint: {flaw.finding.hint}")
        last = error.flaws[-1]
        raise BadInput(last.finding.code, last.finding.what, subject=last.place, hint=last.finding.hint) from None


def _host_name(text: str | None) -> str:
    return (text or "").strip().lower()


def _print(screen: Screen, lines: Sequence[Line]) -> None:
    if not lines:
        output.note("note: nothing is declared")
        return
    screen.table(
        TABLE, [(line.entry, dash(line.device or line.what), _cell(line), dash(_drift(line))) for line in lines]
    )
    for line in lines:
        for finding in line.findings:
            screen.line()
            for row in findings.finding_rows(finding._replace(message=finding.what)):
                screen.line(*row)


def _cell(line: Line) -> Cell:
    return Cell(str(line.standing), TONES[line.standing])


def _drift(line: Line) -> str:
    return "; ".join(map(_sentence, line.drift))


def _sentence(drift: Drift) -> str:
    by = f", set by {drift.by}" if drift.by else ""
    return f"{drift.what}: {dash(drift.want)} is wanted, {dash(drift.have)} is there{by}"


def _document(machine: Machine, lines: Sequence[Line]) -> Document:
    return document("NodeStateStatus", machine=documents.origin(machine), items=[line.as_dict() for line in lines])
