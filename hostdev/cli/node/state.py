"""`passgate node state`: a NodeState file beside this node, carried out on it, and at each of its boots."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from domxml.errors import BadInput, ExitCode, PassgateError
from domxml.finding import Finding
from domxml.text import listed
from hostdev.binding.bootline import Boot, read_boot
from hostdev.binding.carry import Means, carry, refused_by
from hostdev.binding.drift import Drift
from hostdev.binding.effects import Effects, Outcome
from hostdev.binding.export import export
from hostdev.binding.journal import Journal
from hostdev.binding.reconcile import Change, Seen, look_at_node
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import state_for
from hostdev.binding.status import Authors, Line, Standing, change_lines, kernel_lines
from hostdev.cli import changes, devices, documents
from hostdev.cli.node.nodefile import host_name, note_other_nodes, read_file
from hostdev.cli.node.offer import findings_of, is_refused, offer_document, offer_lines, remarks_of_claims, show_offer
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.scan import scan
from hostdev.offer.compose import compose_from
from hostdev.offer.pool import Basis, Offer
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

    seen: Seen
    state: NodeState


def export_state(arguments: argparse.Namespace) -> int:
    """Write the node as a file."""

    def told(host: Host) -> tuple[Machine, Boot, str]:
        machine = scan(host)
        return machine, read_boot(host, machine), host_name(host)

    with progress(f"looking at {arguments.host}"):
        machine, boot, name = changes.look_at(arguments.host, told)
    emit(export(machine, boot, arguments.name or name, by_path=arguments.by == "path"), arguments.output)
    devices.note_unread(machine)
    return ExitCode.DONE


def show_status(arguments: argparse.Namespace) -> int:
    """Print how each entry stands; 1 where one is not held."""
    wanted = look(arguments, read_file(arguments.file))
    planned = foresee(arguments, wanted)
    journal = Journal(Path(arguments.state_dir))

    def told(host: Host) -> tuple[Line, ...]:
        return tuple(change_lines(planned, Authors(host, wanted.seen.machine, journal).last_writer))

    lines = (
        *changes.look_at(arguments.host, told),
        *kernel_lines(wanted.state, wanted.seen.boot),
        *offer_lines(wanted.state, _offer(arguments, wanted)),
    )
    if arguments.output == "table":
        _print(Screen.of(arguments.color), lines)
    else:
        emit(_status_document(wanted.seen.machine, lines), arguments.output)
    devices.note_unread(wanted.seen.machine)
    return ExitCode.DONE if all(line.standing is Standing.HELD for line in lines) else ExitCode.FINDINGS


def show_plan(arguments: argparse.Namespace) -> int:
    """Print what would make the node as the file says."""
    wanted = look(arguments, read_file(arguments.file), closely=True)
    planned = foresee(arguments, wanted)
    offer = _offer(arguments, wanted)
    code = tell_changes(arguments, wanted, planned, Planned(offer, findings_of(offer, planned)))
    devices.note_unread(wanted.seen.machine)
    return code


def _offer(arguments: argparse.Namespace, wanted: Wanted) -> Offer:
    """What the file offers of the node as it is now."""
    offer = compose_from(Basis(wanted.state, wanted.seen.machine, readings=wanted.seen.readings))
    return replace(offer, remarks=(*offer.remarks, *remarks_of_claims(wanted.state, arguments.host)))


def look(arguments: argparse.Namespace, states: Sequence[NodeState], *, closely: bool = False) -> Wanted:
    """Look at the node, and take what of a file is for it."""

    def told(host: Host) -> tuple[Seen, str]:
        return look_at_node(host, states, scan), host_name(host)

    with progress(f"looking at {arguments.host}"):
        seen, name = changes.look_at(arguments.host, told, closely=closely)
    node = arguments.node or name or None
    state = state_for(states, seen.machine, node)
    if state is None:
        note_other_nodes(states, node)
    return Wanted(seen, state or NodeState())


def foresee(arguments: argparse.Namespace, wanted: Wanted) -> tuple[Change, ...]:
    """Plan every item, and ask what stands against it now."""
    means = changes.means_of(arguments)
    here = arguments.host == devices.LIVE
    planned = wanted.seen.plan(wanted.state, means.despite)
    with progress("asking who has the devices"):
        return tuple(
            change._replace(
                effects=changes.foresee(change.effects, wanted.seen.machine, means.accepting(change.despite), here=here)
            )
            for change in planned
        )


class Planned(NamedTuple):
    """What would be offered, and what is to be said of that."""

    offer: Offer
    findings: tuple[Finding, ...]


def tell_changes(
    arguments: argparse.Namespace, wanted: Wanted, made: Sequence[Change], planned: Planned | None = None
) -> int:
    """Print changes as they are planned, or as they ended, and say with which exit code."""
    outcome = worst_outcome(made, is_refused=planned is not None and is_refused(planned.findings))
    pending = [finding for line in kernel_lines(wanted.state, wanted.seen.boot) for finding in line.findings]
    if arguments.output == "text":
        screen = Screen.of(arguments.color)
        for change in made:
            _show_change(screen, change)
        changes.show_findings(screen, pending)
        if planned:
            show_offer(screen, planned.offer, planned.findings, made)
    else:
        found = (*pending, *(planned.findings if planned else ()))
        content = _plan_document(wanted.seen.machine, made, found, outcome)
        emit(content | ({"offer": offer_document(planned.offer)} if planned else {}), arguments.output)
    return changes.EXITS[outcome]


def _show_change(screen: Screen, change: Change) -> None:
    named = "".join(f"  {word}" for word in [listed(change.devices, 6)] if word)
    if change.effects.outcome == Outcome.NOTHING and not change.effects.findings:
        screen.line(Cell(change.entry, Tone.STRONG), f"{named}  nothing to do")
        return
    screen.line(Cell(change.entry, Tone.STRONG), named)
    changes.show(screen, change.effects)
    screen.line()


def worst_outcome(made: Iterable[Change], *, is_refused: bool = False) -> Outcome:
    """The outcome of all changes together, and of what else of the file is refused."""
    beside = Outcome.REFUSED if is_refused else Outcome.NOTHING
    return min((beside, *(Outcome(change.effects.outcome) for change in made)), key=WORST.index)


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


def _plan_document(machine: Machine, made: Sequence[Change], found: Sequence[Finding], outcome: Outcome) -> Document:
    return document(
        "Effects",
        machine=documents.origin(machine),
        id="",
        outcome=str(outcome),
        steps=[],
        findings=[finding.as_dict() for finding in found],
        items=[_item(change) for change in made],
    )


def _item(change: Change) -> Document:
    content = change.effects.as_document()
    effects = {key: content[key] for key in ("id", "outcome", "steps", "findings")}
    return {"entry": change.entry, "devices": [str(device) for device in change.devices], **effects}


def apply_state(arguments: argparse.Namespace) -> int:
    """Carry out what the plan of a file says, entry by entry."""
    states = read_file(arguments.file)
    wanted = look(arguments, states, closely=True)
    planned = foresee(arguments, wanted)
    if not arguments.dry_run and arguments.host != devices.LIVE:
        hint = f"say --dry-run to see what would be written on {arguments.host}"
        raise BadInput("bad-usage", "only the running machine can be changed", subject="--host", hint=hint)
    if arguments.dry_run or not any(change.effects.outcome == Outcome.PLANNED for change in planned):
        return tell_changes(arguments, wanted, planned)
    if not changes.consent(arguments, _together(planned)):
        return ExitCode.DONE
    ended = {change.entry_and_devices: change for change in planned if change.effects.outcome != Outcome.PLANNED}
    with changes.defer_signals() as interrupted, progress("changing drivers and VFs"):
        means = changes.means_of(arguments, interrupted)
        for place in [*(one.place for one in wanted.state.vfs), *(one.place for one in wanted.state.devices)]:
            # Each entry is planned on the machine as it is by then: VFs that were just made are devices, too.
            wanted = look(arguments, states, closely=True)
            ended.update(_carried(wanted, place, means, ended))
    return tell_changes(arguments, wanted, tuple(ended.values()))


def _carried(wanted: Wanted, place: str, means: Means, ended: Mapping[str, Change]) -> Iterator[tuple[str, Change]]:
    """The changes of one entry, as they ended; what one of them fails at is no reason to leave out the next."""
    for change in wanted.seen.plan(wanted.state, means.despite):
        if change.items[0].entry.place == place and change.entry_and_devices not in ended:
            try:
                effects = carry(change.effects, wanted.seen.machine, means.accepting(change.despite), change.what)
            except PassgateError as error:
                effects = change.effects.with_findings([refused_by(error)])
            yield change.entry_and_devices, change._replace(effects=effects)


def _together(planned: tuple[Change, ...]) -> Effects:
    """All plans as one, to be asked about once."""
    due = [change.effects for change in planned if change.effects.outcome == Outcome.PLANNED]
    findings = dict.fromkeys(finding for change in planned for finding in change.effects.findings)
    return Effects("", Outcome.PLANNED, tuple(step for effects in due for step in effects.steps), tuple(findings))
