"""`passgate node doctor`: every check, from the firmware down to each device, with what is right as well."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.cli import devices, documents
from hostdev.cli.devices import accept
from hostdev.cli.selection import Words, choose, read_words
from hostdev.gate.doctor import Check, Status, checks
from hostdev.gate.problems import WRONG, Alike, Problem, alike, find_problems, waits_for
from hostdev.gate.rule import HOST
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Tone
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.screen import Screen

TONES = {
    Status.PASS: Tone.GOOD,
    Status.INFO: Tone.PLAIN,
    Status.WARN: Tone.WARN,
    Status.UNKNOWN: Tone.WARN,
    Status.FAIL: Tone.BAD,
}


INDENT = 11
"""Where the text of a check begins."""
MOST = 32
"""So many addresses are named in a line of `--problems`."""


def run(arguments: argparse.Namespace) -> int:
    """Check the host, and the devices that are meant or those on a vfio driver."""
    machine = devices.machine_at(arguments.host, health=True)
    words = read_words(arguments.address, arguments)
    done = checks(machine, *_asked(arguments, machine, words))
    problems = find_problems(machine, done)
    if arguments.output != "text":
        shown = [check for check in done if check.status in WRONG] if arguments.problems else done
        emit(_document(machine, shown, problems), arguments.output)
    elif arguments.problems:
        _print_problems(Screen.of(arguments.color), done, problems)
    else:
        _print(Screen.of(arguments.color), done, alike(machine, done))
    return findings.exit_code((found for check in done for found in check.findings), arguments.fail_on)


def _asked(
    arguments: argparse.Namespace, machine: Machine, words: Words
) -> tuple[Sequence[PciAddress], frozenset[str]]:
    """The devices to check, and what is accepted of them."""
    if words.names or words.selectors:
        names = pciids.namer(live=arguments.host == devices.LIVE)
        chosen, named = choose(machine, names, words, arguments.despite)
        return [device.function.address for device in chosen], accept(arguments.despite, named)
    ready = [function.address for function in machine.functions.values() if is_on_vfio(function)]
    if not ready:
        output.note("note: no device is on a vfio driver; name those that shall go to a VM")
    return ready, accept(arguments.despite, None)


def _print(screen: Screen, done: Sequence[Check], parts: Sequence[Alike]) -> None:
    told: set[Finding] = set()
    for part in parts:
        first, *others = part.subjects
        screen.line(Cell(first, Tone.STRONG), f" and {len(others)} more of which the same is true" if others else "")
        if others:
            screen.folded(Cell(f"  {listed(others, MOST)}", Tone.FAINT), hang=2)
        for check in part.checks:
            _print_check(screen, check, waits_for(check, done), again=told.issuperset(check.findings))
            told.update(check.findings)
        screen.line()
    counts = Counter(check.status for check in done)
    screen.line(", ".join(f"{counts[status]} {status}" for status in Status if counts[status]))


def _print_check(screen: Screen, check: Check, blocking: Check | None, *, again: bool) -> None:
    """A check in full, unless what it found stands above, or it has to wait for another one."""
    detail, found = check.detail, check.findings
    if blocking is not None:
        detail, found = f"not to be seen before this is right: {blocking.title}", ()
    elif found and again:
        detail, found = f"as above {' '.join(f'[{one.code}]' for one in found)}", ()
    screen.folded("  ", Cell(f"{check.status:<7}", TONES[check.status]), f"  {check.title}: {detail}", hang=INDENT)
    for one in found:
        for row in findings.detail_rows(one):
            screen.folded("  ", *row, hang=INDENT)


def _print_problems(screen: Screen, done: Sequence[Check], problems: Sequence[Problem]) -> None:
    """One line for each cause: how bad, of what, what is wrong, what to do."""
    for problem in problems:
        several = f"{len(problem.subjects)} devices: " if len(problem.subjects) > 1 else ""
        where = "" if problem.message.startswith(problem.subjects[0]) else listed(problem.subjects, MOST)
        screen.folded(
            Cell(f"{problem.status:<9}", TONES[problem.status]),
            Cell(f"{several}{where}{': ' if where else ''}", Tone.STRONG),
            "; ".join(_sentences(problem)),
            " ",
            findings.code_cell(problem.code),
            hang=INDENT - 2,
        )
    if not problems:
        screen.line(Cell("no problems", Tone.GOOD), f": {len(done)} checks of {_subjects(done)}")


def _sentences(problem: Problem) -> Iterator[str]:
    """What is wrong, what waits for it, and last the hint, which may be a command."""
    yield problem.message
    if problem.waiting:
        yield f"not to be seen before that: {', '.join(problem.waiting)}"
    if problem.hint:
        yield f"hint: {problem.hint}"


def _subjects(done: Sequence[Check]) -> str:
    count = len({check.subject for check in done} - {HOST})
    return f"the host and {count} {'device' if count == 1 else 'devices'}" if count else "the host alone"


def _document(machine: Machine, done: Sequence[Check], problems: Sequence[Problem]) -> Document:
    return document(
        "Findings",
        machine=documents.origin(machine),
        checks=[
            {
                "subject": check.subject,
                "name": check.name,
                "title": check.title,
                "status": str(check.status),
                "detail": check.detail,
                "codes": [found.code for found in check.findings],
            }
            for check in done
        ],
        items=[found.as_dict() for found in dict.fromkeys(found for check in done for found in check.findings)],
        problems=[{**problem._asdict(), "status": str(problem.status)} for problem in problems],
    )
