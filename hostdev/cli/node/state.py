"""`passgate node state`: a NodeState file beside this node, carried out on it, and at each of its boots."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from domxml.errors import BadInput, ExitCode, NotPermitted
from domxml.finding import Finding
from domxml.text import listed
from hostdev.binding.bootforms import (
    FORMS,
    SERVICE,
    STATE_FILE,
    UNIT_FILE,
    WANTED_BY,
    Form,
    installed_files,
    print_form,
    too_late,
)
from hostdev.binding.bootline import Boot, read_boot
from hostdev.binding.carry import carry
from hostdev.binding.drift import Drift, export
from hostdev.binding.drivers import Drivers, find_drivers
from hostdev.binding.effects import Effects, Outcome
from hostdev.binding.journal import Journal
from hostdev.binding.reconcile import Change, plan_changes
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import BadState, read_states, state_for
from hostdev.binding.status import Authors, Line, Standing, change_lines, kernel_lines
from hostdev.cli import changes, devices, documents
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
WORST = (
    *(Outcome.STUCK, Outcome.UNDONE, Outcome.PENDING, Outcome.REFUSED),
    *(Outcome.PLANNED, Outcome.DONE, Outcome.NOTHING),
)
"""What becomes of a file is the worst that became of an item."""


class Wanted(NamedTuple):
    """A node, and what a file declares for it."""

    machine: Machine
    boot: Boot
    state: NodeState
    drivers: Drivers


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
    wanted = look(arguments, read_file(arguments.file))
    planned = foresee(arguments, wanted)
    with open_host(arguments.host) as host:
        authors = Authors(host, wanted.machine, Journal(Path(arguments.state_dir)))
        lines = (*change_lines(planned, authors.last_writer), *kernel_lines(wanted.state, wanted.boot))
    if arguments.output == "table":
        _print(Screen.of(arguments.color), lines)
    else:
        emit(_status_document(wanted.machine, lines), arguments.output)
    devices.note_unread(wanted.machine)
    return ExitCode.DONE if all(line.standing is Standing.HELD for line in lines) else ExitCode.FINDINGS


def show_plan(arguments: argparse.Namespace) -> int:
    """Print what would make the node as the file says."""
    wanted = look(arguments, read_file(arguments.file))
    code = tell_changes(arguments, wanted, foresee(arguments, wanted))
    devices.note_unread(wanted.machine)
    return code


def look(arguments: argparse.Namespace, states: Sequence[NodeState]) -> Wanted:
    """Look at the node, and take what of a file is for it."""
    modules = {option.module for state in states for option in state.options}
    with progress(f"looking at {arguments.host}"), open_host(arguments.host) as host:
        machine = scan(host)
        boot = read_boot(host, machine, modules)
        node = arguments.node or _host_name(host.read("proc/sys/kernel/hostname")) or None
        drivers = find_drivers(host, machine.kernel.release, machine.functions.values())
    state = state_for(states, machine, node)
    if state is None:
        names = [state.name for state in states if state.name]
        output.note(f"note: none of {len(states)} documents is for {node or 'this node'}: {listed(names)}")
    return Wanted(machine, boot, state or NodeState(), drivers)


def foresee(arguments: argparse.Namespace, wanted: Wanted) -> tuple[Change, ...]:
    """Plan every item, and ask what stands against it now."""
    means = changes.means_of(arguments)
    here = arguments.host == devices.LIVE
    planned = plan_changes(wanted.state, wanted.machine, wanted.drivers, means.despite)
    with progress("asking who has the devices"):
        return tuple(
            change._replace(effects=changes.foresee(change.effects, wanted.machine, means, here=here))
            for change in planned
        )


def read_file(name: str) -> tuple[NodeState, ...]:
    """Read a file; every mistake in it is told with its place."""
    return parse_file(gather.read_file(name), name)


def parse_file(data: bytes, name: str) -> tuple[NodeState, ...]:
    """The same of what was read already."""
    try:
        return read_states(data, "standard input" if name == "-" else name)
    except BadState as error:
        for flaw in error.flaws[:-1]:
            output.note(f"error: {flaw.place}: {flaw.finding.what} [{flaw.finding.code}]")
            output.note(f"hint: {flaw.finding.hint}")
        last = error.flaws[-1]
        raise BadInput(last.finding.code, last.finding.what, subject=last.place, hint=last.finding.hint) from None


def tell_changes(arguments: argparse.Namespace, wanted: Wanted, made: Sequence[Change]) -> int:
    """Print changes as they are planned, or as they ended, and say with which exit code."""
    pending = [finding for line in kernel_lines(wanted.state, wanted.boot) for finding in line.findings]
    if arguments.output == "text":
        screen = Screen.of(arguments.color)
        for change in made:
            _show_change(screen, change)
        changes.show_findings(screen, pending)
    else:
        emit(_plan_document(wanted.machine, made, pending), arguments.output)
    return changes.EXITS[worst_outcome(made)]


def _show_change(screen: Screen, change: Change) -> None:
    named = "".join(f"  {word}" for word in [listed(change.devices, 6)] if word)
    if change.effects.outcome == Outcome.NOTHING and not change.effects.findings:
        screen.line(Cell(change.entry, Tone.STRONG), f"{named}  nothing to do")
        return
    screen.line(Cell(change.entry, Tone.STRONG), named)
    changes.show(screen, change.effects)
    screen.line()


def worst_outcome(made: Iterable[Change]) -> Outcome:
    """The outcome of all changes together."""
    return min((Outcome(change.effects.outcome) for change in made), key=WORST.index, default=Outcome.NOTHING)


def _host_name(text: str | None) -> str:
    return (text or "").strip().lower()


def _print(screen: Screen, lines: Sequence[Line]) -> None:
    if not lines:
        output.note("note: nothing is declared")
        return
    screen.table(
        TABLE, [(line.entry, dash(line.device or line.what), _cell(line), dash(_drift(line))) for line in lines]
    )
    for finding in dict.fromkeys(finding for line in lines for finding in line.findings):
        screen.line()
        for row in findings.finding_rows(finding._replace(message=finding.what)):
            screen.line(*row)


def _cell(line: Line) -> Cell:
    return Cell(str(line.standing), TONES[line.standing])


def _drift(line: Line) -> str:
    return "; ".join(_sentences(line.drift))


def _sentences(drift: Iterable[Drift]) -> Iterator[str]:
    for one in drift:
        by = f", set by {one.by}" if one.by else ""
        yield f"{one.what}: {dash(one.want)} is wanted, {dash(one.have)} is there{by}"


def _status_document(machine: Machine, lines: Sequence[Line]) -> Document:
    return document("NodeStateStatus", machine=documents.origin(machine), items=[line.as_dict() for line in lines])


def _plan_document(machine: Machine, made: Sequence[Change], found: Sequence[Finding]) -> Document:
    return document(
        "Effects",
        machine=documents.origin(machine),
        id="",
        outcome=str(worst_outcome(made)),
        steps=[],
        findings=[finding.as_dict() for finding in found],
        items=[_item(change) for change in made],
    )


def _item(change: Change) -> Document:
    content = change.effects.as_document()
    effects = {key: content[key] for key in ("id", "outcome", "steps", "findings")}
    return {"entry": change.entry, "devices": [str(device) for device in change.devices], **effects}


SYSTEMD = Path("/run/systemd/system")
"""There where systemd is process 1."""


def apply_state(arguments: argparse.Namespace) -> int:
    """Carry out what the plan of a file says, entry by entry."""
    states = read_file(arguments.file)
    wanted = look(arguments, states)
    planned = foresee(arguments, wanted)
    if not arguments.dry_run and arguments.host != devices.LIVE:
        hint = f"say --dry-run to see what would be written on {arguments.host}"
        raise BadInput("bad-usage", "only the running machine can be changed", subject="--host", hint=hint)
    if arguments.dry_run or not any(change.effects.outcome == Outcome.PLANNED for change in planned):
        return tell_changes(arguments, wanted, planned)
    if not changes.consent(arguments, _together(planned)):
        return ExitCode.DONE
    with changes.defer_signals() as interrupted, progress("changing drivers and VFs"):
        ended = {change.entry_and_devices: change for change in planned if change.effects.outcome != Outcome.PLANNED}
        places = [entry.place for entry in wanted.state.vfs] + [entry.place for entry in wanted.state.devices]
        for place in places:
            # Each entry is planned on the machine as it is by then: VFs that were just made are devices, too.
            wanted = look(arguments, states)
            means = changes.means_of(arguments, interrupted)
            for change in plan_changes(wanted.state, wanted.machine, wanted.drivers, means.despite):
                due = change.items[0].entry.place == place and change.entry_and_devices not in ended
                if due and not interrupted():
                    effects = carry(change.effects, wanted.machine, means, change.what)
                    ended[change.entry_and_devices] = change._replace(effects=effects)
    return tell_changes(arguments, wanted, tuple(ended.values()))


def _together(planned: tuple[Change, ...]) -> Effects:
    """All plans as one, to be asked about once."""
    due = [change.effects for change in planned if change.effects.outcome == Outcome.PLANNED]
    findings = dict.fromkeys(finding for change in planned for finding in change.effects.findings)
    return Effects("", Outcome.PLANNED, tuple(step for effects in due for step in effects.steps), tuple(findings))


def install_state(arguments: argparse.Namespace) -> int:
    """Write the service of a host with systemd, or print the form of another kind of host."""
    data = gather.read_file(arguments.file)
    states = parse_file(data, arguments.file)
    text = data.decode()
    kind = getattr(arguments, "for")
    if kind:
        named = [
            state
            for state in states
            if arguments.node is None or arguments.node in (state.nodes.names or (arguments.node,))
        ]
        output.write(print_form(kind, Form(text, _joined(named), ("/usr/bin/passgate",), arguments.image)))
        return ExitCode.DONE
    wanted = look(arguments, states)
    form = Form(text, wanted.state, (_program(),))
    if arguments.dry_run or arguments.host != devices.LIVE:
        for path, content in installed_files(form).items():
            output.write(f"# {path}\n{content}\n")
        output.write(f"# {WANTED_BY} -> {UNIT_FILE}\n")
    else:
        _install(installed_files(form))
    for sentence in too_late(wanted.state, wanted.machine):
        output.note(f"note: {sentence}")
    return ExitCode.DONE


def _joined(states: Iterable[NodeState]) -> NodeState:
    joined = NodeState()
    for state in states:
        joined = joined.joined(state)
    return joined


def _program() -> str:
    """The program that the service is to start."""
    found = shutil.which("passgate")
    if found is None:
        what = "no program `passgate` is in the PATH for the service to start"
        raise BadInput("no-program", what, hint="install Passgate on this host, or use --for with its image")
    return found


def _install(wanted: Mapping[str, str]) -> None:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        what = "this host has no systemd to start a service"
        raise BadInput("no-systemd", what, hint=f"print the form for this kind of host: --for {'|'.join(FORMS)}")
    try:
        for path, content in wanted.items():
            _write(Path(path), content)
        link = Path(WANTED_BY)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(UNIT_FILE)
    except OSError as error:
        hint = f"run it as root; where /etc cannot be written, print another form: --for {'|'.join(FORMS)}"
        what = f"cannot be written: {error.strerror}"
        raise NotPermitted("not-installed", what, subject=str(error.filename), hint=hint) from None
    if SYSTEMD.exists():
        subprocess.run([systemctl, "daemon-reload"], check=False, stdin=subprocess.DEVNULL)  # noqa: S603  no word of it is foreign
    for path in (*wanted, WANTED_BY):
        output.write(f"wrote {path}\n")
    output.write(f"now: systemctl start {SERVICE}, or a reboot\n")
    output.write(
        f"away with it: systemctl disable {SERVICE} && rm {UNIT_FILE} {STATE_FILE}; devices stay as they are\n"
    )


def _write(path: Path, content: str) -> None:
    """Whole or not at all: half a file would be read at the next boot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
