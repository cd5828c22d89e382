"""`passgate node journal`: the changes that were made of this node."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from domxml.errors import BadInput, ExitCode
from domxml.text import printable
from hostdev.binding import recover
from hostdev.binding.effects import Outcome
from hostdev.binding.journal import Journal, Transaction, as_document
from hostdev.binding.kernel import Kernel
from hostdev.binding.undo import restore
from hostdev.cli import changes
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit, Row, Tone, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.output import progress
from hostdev.printing.screen import Screen

COLUMNS = (Column("ID"), Column("BEGUN"), Column("OUTCOME"), Column("WHAT", Fit.WRAP))
CUT_OFF, HISTORY = "cut off", "cut off by a reboot"


def run(arguments: argparse.Namespace) -> int:
    """Do what the second word says."""
    needs = arguments.action in {"show", "undo"}
    if needs != (arguments.id is not None):
        what = "names no change" if needs else "takes no ID"
        hint = "`passgate node journal list` shows the IDs" if needs else ""
        raise BadInput("bad-usage", f"`passgate node journal {arguments.action}` {what}", hint=hint)
    return _ACTIONS[arguments.action](arguments, Journal(Path(arguments.state_dir)))


def _list(arguments: argparse.Namespace, journal: Journal) -> int:
    written = list(journal.each())
    if arguments.output != "text":
        emit(_document(written), arguments.output)
    elif written:
        boot_id = Kernel().look_again(()).kernel.boot_id
        Screen.of(arguments.color).table(COLUMNS, [_row(one, boot_id) for one in written])
    else:
        output.note(f"note: no change was made yet, as {journal.directory} tells")
    _note_unreadable(journal)
    return ExitCode.DONE


def _note_unreadable(journal: Journal) -> None:
    for path, why in journal.unreadable():
        output.note(f"note: {path} is not among them: {printable(why)}")


def _show(arguments: argparse.Namespace, journal: Journal) -> int:
    written = journal.find(arguments.id)
    if arguments.output != "text":
        emit(as_document(written), arguments.output)
        return ExitCode.DONE
    screen = Screen.of(arguments.color)
    boot_id = Kernel().look_again(()).kernel.boot_id
    for name, value in _facts(written, boot_id):
        screen.line(Cell(f"{name:<9}", Tone.STRONG), value)
    changes.show_steps(screen, written.effects.steps)
    if written.undo:
        screen.line(Cell("to put it back", Tone.STRONG))
        changes.show_steps(screen, written.undo)
    changes.show_findings(screen, written.effects.findings)
    return ExitCode.DONE


def _undo(arguments: argparse.Namespace, journal: Journal) -> int:
    written = journal.find(arguments.id)
    machine = Kernel().look_again(written.addresses)
    recover.check_boot(written, machine)
    steps, found = restore(machine, written)
    plan = written.effects._replace(outcome=Outcome.PLANNED if steps else Outcome.NOTHING, steps=steps, findings=found)
    if arguments.dry_run or (not steps and not found):
        return changes.tell(arguments, plan)
    if not changes.consent(arguments, plan):
        return ExitCode.DONE
    with changes.defer_signals(), progress("putting the devices back"):
        back = recover.undo(written, changes.means_of(arguments))
    code = changes.tell(arguments, back.effects)
    return ExitCode.DONE if back.effects.outcome == Outcome.UNDONE else code


def _recover(arguments: argparse.Namespace, journal: Journal) -> int:
    if arguments.dry_run:
        return _list(arguments, journal)
    with changes.defer_signals(), progress("looking at changes that were cut off"):
        ended = recover.recover(changes.means_of(arguments))
    if arguments.output != "text":
        emit(_document(ended), arguments.output)
    screen = Screen.of(arguments.color)
    for one in ended if arguments.output == "text" else ():
        screen.line(Cell(one.id, Tone.STRONG), f"  {one.what}")
        changes.show(screen, one.effects)
    if not ended:
        output.note("note: no change of this boot was cut off or waits")
    _note_unreadable(journal)
    return max((_EXITS[Outcome(one.effects.outcome)] for one in ended), default=ExitCode.DONE)


_EXITS = {**changes.EXITS, Outcome.UNDONE: ExitCode.DONE}
"""To have undone what was cut off is a success."""
_ACTIONS = {"list": _list, "show": _show, "undo": _undo, "recover": _recover}


def _row(written: Transaction, boot_id: str) -> Row:
    return written.id, written.begun, _outcome(written, boot_id), written.what


def _outcome(written: Transaction, boot_id: str) -> str:
    if not written.running:
        return str(written.effects.outcome)
    if written.boot_id != boot_id:
        return HISTORY
    return str(written.effects.outcome) if written.effects.outcome == Outcome.PENDING else CUT_OFF


def _facts(written: Transaction, boot_id: str) -> Iterator[tuple[str, str]]:
    yield "what", written.what
    yield "outcome", _outcome(written, boot_id)
    yield "begun", written.begun
    yield "ended", dash(written.ended)
    yield "kernel", f"{written.kernel}, {'this boot' if written.boot_id == boot_id else f'boot {written.boot_id}'}"
    for before in written.before:
        ids = f"{before.vendor:04x}:{before.device:04x}"
        override = f", driver_override {before.override}" if before.override else ""
        yield "before", f"{before.address} {ids} on {before.driver or 'no driver'}{override}"


def _document(written: Sequence[Transaction]) -> Document:
    return document("TransactionList", items=[as_document(one) for one in written])
