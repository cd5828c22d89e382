"""A plan is carried out: asked again before each write, written down, written by a child, verified, undone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from domxml.errors import NotPermitted, PassgateError
from domxml.finding import Evidence, Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.binding import steps
from hostdev.binding.checks import CHECKS, Check, Moment, is_the_same, is_there
from hostdev.binding.child import Answer, Writer
from hostdev.binding.effects import MODPROBE, Effects, Outcome, State, Step, WriteFailed
from hostdev.binding.journal import Journal, Transaction
from hostdev.binding.kernel import Kernel
from hostdev.binding.lock import hold_lock
from hostdev.binding.obstacles import weigh
from hostdev.binding.undo import restore
from hostdev.binding.vfs import sets_up
from hostdev.binding.vfsettings import Readings
from hostdev.findings.binding import (
    FOREIGN_NEW_ID,
    INTERRUPTED,
    JOURNAL_FILE_UNREADABLE,
    NOT_AS_PLANNED,
    TRANSACTION_OPEN,
    UNDO_FAILED,
    WRITE_FAILED,
    WRITE_PENDING,
)
from hostdev.gate.driver import NODE_RULES
from hostdev.gate.group import RULES as GROUP_RULES
from hostdev.gate.rule import View
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import vfio_driver

NODE_PATIENCE = 3.0
"""Seconds in which udev must have made a node."""
_PAUSE = 0.1
DEADLINE = 30.0
"""Seconds that a write may take; the slowest that ends by itself takes half of that."""


class Means(NamedTuple):
    """What a change is made with."""

    journal: Journal
    kernel: Kernel = Kernel()
    checks: Sequence[Check] = CHECKS
    despite: frozenset[str] = frozenset()
    deadline: float = DEADLINE
    stop: Callable[[], bool] = lambda: False
    """Whether it was interrupted: what was begun is then undone."""

    def accepting(self, codes: frozenset[str]) -> Means:
        """The same, with more that is accepted."""
        return self._replace(despite=self.despite | codes)


def carry(effects: Effects, machine: Machine, means: Means, what: str = "") -> Effects:
    """Carry a plan out that was made from this picture of the running machine, and say how it ended.

    `what` is how the journal calls it. Nothing is written where the plan is refused, or has nothing to do.
    """
    if effects.outcome != Outcome.PLANNED:
        return effects
    if means.stop():
        return effects.with_findings([_interrupted(effects, "it had not begun, and nothing was written")])
    with hold_lock(means.journal.state_dir):
        unreadable = weigh(_unreadable(means.journal), means.despite)
        against = (*open_transactions(means.journal, machine, effects), *unreadable)
        effects = effects.with_findings(against)
        if effects.outcome != Outcome.PLANNED:
            return effects
        begun = means.journal.begin(what, effects, machine, _settings(effects, machine, means))
        return _Carrier(means, begun, machine).run()


def _settings(effects: Effects, machine: Machine, means: Means) -> Readings | None:
    """What VFs are set up with, where the change may take it away."""
    changed = {PciAddress.parse(step.device) for step in effects.steps if sets_up(step)}
    own = {function.physfn or address for address in changed if (function := machine.functions.get(address))}
    ports = [machine.functions[one] for one in sorted(own) if one in machine.functions]
    return means.kernel.vf_settings(ports) if ports else None


def refused_by(error: PassgateError) -> Finding:
    """What kept a change from beginning, as a finding."""
    return Finding(error.code, Severity.ERROR, error.subject, error.message, error.hint)


def _interrupted(effects: Effects, what: str) -> Finding:
    return INTERRUPTED.found(effects.devices[0] if effects.devices else "", what)


def open_transactions(journal: Journal, machine: Machine, effects: Effects) -> Iterable[Finding]:
    """Earlier changes of the same devices, their PFs and VFs, that have not ended."""
    addresses = [PciAddress.parse(device) for device in effects.devices]
    near = {one for a in addresses if (f := machine.functions.get(a)) for one in (a, f.physfn) if one}
    for one in journal.running(machine.kernel.boot_id):
        if one.touches(near):
            subject = str(next(before.address for before in one.before))
            path = str(journal.directory / f"{one.id}.json")
            yield TRANSACTION_OPEN.found(
                subject, f"{one.what or 'a change'} of {one.begun} has not ended", evidence=(Evidence(path, one.id),)
            )


def _unreadable(journal: Journal) -> Iterable[Finding]:
    """What may be a change that has not ended, of any device."""
    for path, why in journal.unreadable():
        yield JOURNAL_FILE_UNREADABLE.found(path, why)


@dataclass
class _Carrier:
    """One transaction on its way."""

    means: Means
    transaction: Transaction
    planned_on: Machine
    _begun: set[str] = field(default_factory=set)

    def run(self) -> Effects:
        try:
            return self._run()
        except PassgateError as error:
            # The host cannot be looked at any more. The journal says that it runs, and `recover` goes on from there.
            effects = self.transaction.effects
            return effects._replace(outcome=Outcome.STUCK, findings=(*effects.findings, refused_by(error)))

    def _run(self) -> Effects:
        for number, step in enumerate(self.transaction.effects.steps):
            answer = self._attempt(step)
            if answer is None:
                return self._pending(self._marked(number, State.PENDING), step)
            if not answer.good:
                marked = self._marked(number, State.FAILED if answer.wrote else State.TODO, answer.findings)
                return self._back(marked, touched=answer.wrote or number > 0)
            self._set(self._marked(number, State.DONE, answer.findings))
            if self.means.stop():
                effects = self.transaction.effects
                found = _interrupted(effects, "it had begun, and is undone")
                return self._back(effects._replace(findings=(*effects.findings, found)), touched=True)
        return self._arrived()

    def _attempt(self, step: Step) -> Answer | None:
        first = step.device not in self._begun
        self._begun.add(step.device)
        before = self.planned_on.functions.get(PciAddress.parse(step.device)) if first else None
        if before and before.physfn and str(before.physfn) in self._begun:
            # A VF that was made again is another device at the same address.
            before = None
        until = time.monotonic() + self.means.deadline
        work = lambda: make(step, self.means, before, until)  # noqa: E731  it runs in a child
        try:
            return self.means.kernel.attempt(work, self.means.deadline, self._note)
        except NotPermitted as error:
            # The journal is full: what was done is undone, as far as it got.
            return Answer(wrote=False, findings=(WRITE_FAILED.found(step.device, error.what, hint=error.hint),))

    def _note(self, writer: Writer) -> None:
        self._save(self.transaction._replace(writer=writer))

    def _marked(self, number: int, state: State, findings: Iterable[Finding] = ()) -> Effects:
        effects = self.transaction.effects.with_step(number, state)
        return effects._replace(findings=tuple(dict.fromkeys((*effects.findings, *findings))))

    def _set(self, effects: Effects) -> None:
        self.transaction = self.transaction._replace(effects=effects)

    def _save(self, transaction: Transaction) -> None:
        self.means.journal.save(transaction)
        self.transaction = transaction

    def _end(self, effects: Effects) -> Effects:
        with suppress(NotPermitted):
            # Where that cannot be written, the journal says that it runs, and recovery finds nothing left to do.
            self.transaction = self.means.journal.end(self.transaction, effects)
        return effects

    def _pending(self, effects: Effects, step: Step) -> Effects:
        writer = self.transaction.writer
        who = f"PID {writer.pid} waits for it" if writer else "it waits"
        what = f"{step.write} has not come back within {self.means.deadline:.0f} s: {who}"
        found = WRITE_PENDING.found(step.device, what, evidence=(Evidence(step.write, step.value),))
        return self._end(effects._replace(outcome=Outcome.PENDING, findings=(*effects.findings, found)))

    def _arrived(self) -> Effects:
        effects = self.transaction.effects
        found = arrival(effects, self.means)
        effects = effects._replace(findings=tuple(dict.fromkeys((*effects.findings, *found))))
        if any(finding.severity is Severity.ERROR for finding in found):
            return self._back(effects, touched=True)
        return self._end(effects._replace(outcome=Outcome.DONE))

    def _back(self, effects: Effects, *, touched: bool) -> Effects:
        self._set(effects)
        if not touched:
            return self._end(effects._replace(outcome=Outcome.REFUSED))
        self.transaction = put_back(self.transaction, self.means)
        return self._end(self.transaction.effects)


def put_back(transaction: Transaction, means: Means) -> Transaction:
    """Undo a transaction from wherever it is: each device by itself, and no device at the cost of a VM."""
    addresses = [before.address for before in transaction.before]
    todo, found = restore(means.kernel.look_again(addresses), transaction)
    stuck = {finding.subject for finding in found if finding.severity is Severity.ERROR}
    findings = [*found]
    done = transaction._replace(undo=(*transaction.undo, *todo))
    for number, step in enumerate(todo, len(transaction.undo)):
        if step.device in stuck:
            continue
        answer = _undo_step(step, means, done)
        state = State.DONE if answer and answer.good else State.PENDING if answer is None else State.FAILED
        done = done._replace(undo=_with_state(done.undo, number, state))
        if answer is None:
            pending = WRITE_PENDING.found(step.device, f"{step.write} has not come back")
            told = (*done.effects.findings, *findings, pending)
            return done._replace(effects=done.effects._replace(outcome=Outcome.PENDING, findings=told))
        findings += answer.findings
        if not answer.good:
            stuck.add(step.device)
    return done._replace(effects=_undone(done.effects, findings, stuck))


def _undo_step(step: Step, means: Means, done: Transaction) -> Answer | None:
    until = time.monotonic() + means.deadline

    def note(writer: Writer) -> None:
        with suppress(NotPermitted):
            means.journal.save(done._replace(writer=writer))

    return means.kernel.attempt(lambda: make(step, means, None, until), means.deadline, note)


def _with_state(undo: tuple[Step, ...], number: int, state: State) -> tuple[Step, ...]:
    return (*undo[:number], undo[number]._replace(state=state), *undo[number + 1 :])


def _undone(effects: Effects, findings: Sequence[Finding], stuck: set[str]) -> Effects:
    undone = [
        step._replace(state=State.UNDONE) if step.state == State.DONE and step.device not in stuck else step
        for step in effects.steps
    ]
    told = [UNDO_FAILED.found(device, "it is not back where it was") for device in sorted(stuck)]
    return effects._replace(
        outcome=Outcome.STUCK if stuck else Outcome.UNDONE,
        steps=tuple(undone),
        findings=tuple(dict.fromkeys((*effects.findings, *findings, *told))),
    )


def arrival(effects: Effects, means: Means) -> tuple[Finding, ...]:
    """What is still missing once all is written: its node, which udev may make late, or a group that is viable."""
    bound = [PciAddress.parse(step.device) for step in effects.steps if vfio_driver(step.expect) and _is_probe(step)]
    until = time.monotonic() + NODE_PATIENCE
    while bound:
        machine = means.kernel.look_again(bound)
        views = [View(machine, machine.functions[a], frozenset(bound)) for a in bound if a in machine.functions]
        found = [one for view in views for rule in (*NODE_RULES, *GROUP_RULES) for one in rule.find(view)]
        missing = tuple(weigh((one for one in found if one.severity is Severity.ERROR), means.despite))
        if not missing or time.monotonic() > until:
            return missing
        time.sleep(_PAUSE)
    return ()


def ask(effects: Effects, machine: Machine, host: Host, means: Means) -> Effects:
    """The same with all that the checks would say right now, before any write."""
    found: list[Finding] = []
    for step in effects.steps:
        function = machine.functions.get(PciAddress.parse(step.device))
        if function is not None:
            moment = Moment(step, function, machine, host, means.despite)
            found += [finding for check in means.checks for finding in check(moment)]
    return effects.with_findings(found)


def make(step: Step, means: Means, before: PciFunction | None, until: float) -> Answer:
    """One write, as the child makes it: look, ask, write, and look what came of it."""
    address = PciAddress.parse(step.device)
    machine = means.kernel.look([address])
    function = machine.functions.get(address)
    found = list(is_the_same(before, function)) if before else [*is_there(address, function)]
    if function is not None and not found:
        with means.kernel.host() as host:
            moment = Moment(step, function, machine, host, means.despite)
            found += [finding for check in means.checks for finding in check(moment)]
    late = time.monotonic() > until
    if late or function is None or any(one.severity is Severity.ERROR for one in found):
        late_found = WRITE_FAILED.found(step.device, "the look at it took too long, and nothing was written")
        return Answer(wrote=False, findings=(*found, *([late_found] if late else [])))
    try:
        means.kernel.perform(step)
    except WriteFailed as error:
        failed = WRITE_FAILED.found(step.device, f"{step.write}: {error}", evidence=(Evidence(step.write, step.value),))
        return Answer(wrote=True, findings=(*found, failed))
    return Answer(wrote=True, findings=(*found, *_difference(step, means.kernel)))


def _difference(step: Step, kernel: Kernel) -> Iterable[Finding]:
    """What sysfs shows in place of what the step was for: a write that succeeds proves nothing."""
    if step.write == MODPROBE:
        return
    now = kernel.observe(step)
    where = f"/sys/bus/pci/devices/{step.device}/driver" if steps.is_of_driver(step) else step.write
    if step.expect is None and vfio_driver(now):
        what = f"{now} took it again"
        yield FOREIGN_NEW_ID.found(step.device, what, severity=Severity.ERROR, evidence=(Evidence(where, now),))
    elif step.expect is not None and now != step.expect:
        what = f"{_file(where)} says {now or 'nothing'} instead of {step.expect or 'nothing'}"
        yield NOT_AS_PLANNED.found(step.device, what, evidence=(Evidence(where, now or "(absent)"),))


def _is_probe(step: Step) -> bool:
    return step.write == steps.PROBE


def _file(path: str) -> str:
    return path.rpartition("/")[2]
