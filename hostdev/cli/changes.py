"""Changes of a host on the command line: what would be written, whether that is wanted, and how it ended."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from domxml.errors import BadInput, ExitCode
from domxml.finding import Finding, Severity
from domxml.text import did_you_mean, listed
from hostdev.binding.carry import Means, ask, carry
from hostdev.binding.effects import Effects, Outcome, State, Step, describe
from hostdev.binding.journal import Journal
from hostdev.binding.kernel import Kernel, look_bounded
from hostdev.binding.obstacles import ACCEPTABLE
from hostdev.binding.vfs import is_number
from hostdev.cli.devices import LIVE, machine_at
from hostdev.findings.binding import NOT_ASKED
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.layout import open_host
from hostdev.printing import output
from hostdev.printing.cells import Cell, Tone
from hostdev.printing.documents import emit
from hostdev.printing.findings import finding_rows
from hostdev.printing.output import progress
from hostdev.printing.screen import Screen

T = TypeVar("T")
EXITS = {
    Outcome.PLANNED: ExitCode.DONE,
    Outcome.NOTHING: ExitCode.DONE,
    Outcome.DONE: ExitCode.DONE,
    Outcome.REFUSED: ExitCode.REFUSED,
    Outcome.UNDONE: ExitCode.UNDONE,
    Outcome.STUCK: ExitCode.NOT_UNDONE,
    Outcome.PENDING: ExitCode.PENDING,
}
_WORDS = {
    Outcome.PLANNED: "planned: nothing was written",
    Outcome.NOTHING: "nothing to do: it is so already",
    Outcome.DONE: "done",
    Outcome.REFUSED: "refused: nothing was written",
    Outcome.UNDONE: "failed, and undone: the devices are where they were",
    Outcome.STUCK: "failed, and could not be undone",
    Outcome.PENDING: "not back yet: the kernel waits for the holder of the device",
}
_TONES = {
    Outcome.DONE: Tone.GOOD,
    Outcome.REFUSED: Tone.BAD,
    Outcome.UNDONE: Tone.BAD,
    Outcome.STUCK: Tone.BAD,
    Outcome.PENDING: Tone.WARN,
}
_STATES = {State.DONE: Tone.GOOD, State.FAILED: Tone.BAD, State.PENDING: Tone.WARN, State.UNDONE: Tone.WARN}


def means_of(arguments: argparse.Namespace, stop: Callable[[], bool] = lambda: False) -> Means:
    """What the command line makes changes with."""
    if not arguments.deadline > 0:
        raise BadInput("bad-usage", "a deadline is more than 0 seconds", subject="--deadline")
    return Means(
        Journal(Path(arguments.state_dir)),
        Kernel(),
        despite=accept_codes(arguments.despite),
        deadline=arguments.deadline,
        stop=stop,
    )


def machine_of(spec: str) -> Machine:
    """The machine that shall be changed, looked at as closely as a write wants it."""
    if spec != LIVE:
        return machine_at(spec)
    with progress(f"looking at {spec}"):
        return Kernel().picture()


def look_at(spec: str, look: Callable[[Host], T], *, closely: bool = False) -> T:
    """What a look at a host answers; `closely` asks the running kernel as well, as a write wants it."""

    def opened() -> T:
        with open_host(spec) as host:
            return look(host)

    if spec != LIVE:
        return opened()
    return Kernel().ask(look) if closely else look_bounded(opened)


def accept_codes(codes: Sequence[str]) -> frozenset[str]:
    """The codes that `--despite` may name; another one is refused with the nearest."""
    for code in codes:
        if code not in ACCEPTABLE:
            known = f"--despite takes {listed(ACCEPTABLE, len(ACCEPTABLE))}"
            what = "this cannot be set aside: a device is never taken from a VM, nor VFs from their users"
            raise BadInput("bad-usage", what, subject=code, hint=did_you_mean(code, ACCEPTABLE, known))
    return frozenset(codes)


def carry_out(arguments: argparse.Namespace, plan: Effects, machine: Machine, what: str) -> int:
    """Print a plan, ask, carry it out, and print how it ended; on another host than this one only the plan."""
    here = arguments.host == LIVE
    if not here and not arguments.dry_run:
        hint = f"say --dry-run to see what would be written on {arguments.host}"
        raise BadInput("bad-usage", "only the running machine can be changed", subject="--host", hint=hint)
    with progress("asking who has the devices"):
        plan = foresee(plan, machine, means_of(arguments), here=here)
    if arguments.dry_run or plan.outcome != Outcome.PLANNED:
        return tell(arguments, plan)
    return _change(arguments, plan, machine, what)


def foresee(plan: Effects, machine: Machine, means: Means, *, here: bool) -> Effects:
    """Ask what would be asked before the writes; of another host than this one, tell that it is not."""
    if not plan.steps:
        return plan
    if here:
        return look_bounded(lambda: _asked_here(plan, machine, means))
    devices = listed(plan.devices, len(plan.devices))
    vfs = ", or a VF that vanishes," if any(is_number(step) for step in plan.steps) else ""
    what = f"whether a VM or a process has {devices}{vfs} is not to be seen in a recording"
    return plan.with_findings([NOT_ASKED.found(machine.source, what)])


def _asked_here(plan: Effects, machine: Machine, means: Means) -> Effects:
    with means.kernel.host() as host:
        return ask(plan, machine, host, means)


def _change(arguments: argparse.Namespace, plan: Effects, machine: Machine, what: str) -> int:
    if not consent(arguments, plan):
        return ExitCode.DONE
    with defer_signals() as interrupted, progress("changing drivers"):
        ended = carry(plan, machine, means_of(arguments, interrupted), what)
    return tell(arguments, ended)


def consent(arguments: argparse.Namespace, plan: Effects) -> bool:
    """Ask on the terminal, with the plan before the eyes; without one only --yes is a yes."""
    if arguments.yes:
        return True
    _show(arguments, plan)
    if sys.stdin is None or not sys.stdin.isatty():
        raise BadInput(
            "bad-usage", "nothing is written without a yes, and there is no terminal to ask on", hint="say --yes"
        )
    output.flush()
    sys.stderr.write(f"Write these {len(plan.steps)} steps? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        return True
    output.note("nothing was written")
    return False


@contextmanager
def defer_signals() -> Iterator[Callable[[], bool]]:
    """Let a signal wait until the write that is on its way has ended; what was begun is then undone."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell(arguments: argparse.Namespace, effects: Effects) -> int:
    """Print a plan or how it ended, and say with which exit code."""
    if arguments.output == "text":
        _show(arguments, effects)
    else:
        emit(effects.as_document(), arguments.output)
    return EXITS[Outcome(effects.outcome)]


def _show(arguments: argparse.Namespace, effects: Effects) -> None:
    # Beside a document the plan that is asked about goes to standard error.
    screen = Screen.of(arguments.color)
    if arguments.output != "text":
        for step in effects.steps:
            output.note(f"{describe(step)}   # {step.why}")
        for finding in effects.findings:
            output.note(f"{finding.severity}: {finding.what} [{finding.code}]")
        return
    show(screen, effects)


def show(screen: Screen, effects: Effects) -> None:
    """The steps, what was found, and in a word how it stands."""
    show_steps(screen, effects.steps)
    show_findings(screen, effects.findings)
    outcome = Outcome(effects.outcome)
    number = f", journal {effects.id}" if effects.id else ""
    screen.line(Cell(_WORDS[outcome], _TONES.get(outcome, Tone.STRONG)), number)


def show_steps(screen: Screen, steps: Sequence[Step]) -> None:
    """Each as the line of shell that does the same, and what it is for."""
    for step in steps:
        state = () if step.state == State.TODO else (Cell(f"{step.state:<8}", _STATES[State(step.state)]),)
        screen.line(*state, describe(step), Cell(f"   # {step.why}", Tone.FAINT))


def show_findings(screen: Screen, found: Sequence[Finding]) -> None:
    """What stands against it first, and how that could be set aside."""
    for finding in sorted(found, key=lambda one: -one.severity.rank):
        for row in finding_rows(finding._replace(message=finding.what)):
            screen.line(*row)
        if finding.severity is Severity.ERROR and finding.code in ACCEPTABLE and "--despite" not in finding.hint:
            screen.line(Cell(f"{'':9}to go on all the same: --despite {finding.code}", Tone.FAINT))
