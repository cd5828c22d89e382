"""Changes that were cut off, or that wait for the kernel: how they stand, and back to where the devices were."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from domxml.finding import Evidence
from hostdev.binding import steps
from hostdev.binding.carry import Means, put_back
from hostdev.binding.child import is_alive
from hostdev.binding.effects import LINK, MODPROBE, Effects, Outcome, State, Step
from hostdev.binding.journal import Transaction
from hostdev.binding.kernel import Kernel
from hostdev.binding.lock import hold_lock
from hostdev.findings.binding import CHANGED_MEANWHILE, WRITE_PENDING
from hostdev.inventory.machine import Machine

PATIENCE = 3.0
"""Seconds for a writer that is on its way to come back."""
_PAUSE = 0.1


def recover(means: Means) -> list[Transaction]:
    """Look at every transaction of this boot that has not ended: done, undone, or still waiting."""
    with hold_lock(means.journal.state_dir):
        boot_id = means.kernel.look_again(()).kernel.boot_id
        return [_recovered(one, means) for one in means.journal.running(boot_id)]


def check_boot(transaction: Transaction, machine: Machine) -> None:
    """Refuse to undo what a boot has undone."""
    if machine.kernel.boot_id != transaction.boot_id:
        what = f"it was made in an earlier boot, on {transaction.begun}: drivers and VFs began anew since"
        raise CHANGED_MEANWHILE.refused(transaction.id, what, "say what shall be: passgate node bind, or unbind")


def undo(transaction: Transaction, means: Means) -> Transaction:
    """Put the devices of a transaction of this boot back where they were before it."""
    with hold_lock(means.journal.state_dir):
        check_boot(transaction, means.kernel.look_again(()))
        if transaction.running:
            return _recovered(transaction, means)
        back = put_back(transaction, means)
        return means.journal.end(back, back.effects)


def _recovered(transaction: Transaction, means: Means) -> Transaction:
    _wait_for_writer(transaction)
    # Only now: what a writer that was on its way has done must be seen.
    machine = means.kernel.look_again(transaction.addresses)
    if _is_waiting(transaction, machine):
        return _still_pending(transaction, means)
    if not transaction.undo and _is_so(transaction.effects, machine, means):
        return means.journal.end(transaction, _all_done(transaction.effects))
    back = put_back(transaction, means)
    return means.journal.end(back, back.effects)


def _is_so(effects: Effects, machine: Machine, means: Means) -> bool:
    """Whether all has come about that the change was for."""
    return all(_holds(step, machine, means.kernel) for step in _last(effects.steps))


def _wait_for_writer(transaction: Transaction) -> None:
    until = time.monotonic() + PATIENCE
    while transaction.writer and is_alive(transaction.writer) and time.monotonic() < until:
        time.sleep(_PAUSE)


def _is_waiting(transaction: Transaction, machine: Machine) -> bool:
    """Its writer is still there, or the removal that it began."""
    if transaction.writer and is_alive(transaction.writer):
        return True
    return any(machine.functions[one].removing for one in transaction.addresses if one in machine.functions)


def _still_pending(transaction: Transaction, means: Means) -> Transaction:
    writer = transaction.writer
    step = next((one for one in transaction.effects.steps if one.state == State.PENDING), None)
    subject = step.device if step else str(transaction.addresses[0])
    who = f"PID {writer.pid}" if writer and is_alive(writer) else "the kernel"
    evidence = (Evidence(step.write, step.value),) if step else ()
    found = WRITE_PENDING.found(subject, f"{who} still waits for it since {transaction.begun}", evidence=evidence)
    others = (one for one in transaction.effects.findings if one.code != WRITE_PENDING.code)
    effects = transaction.effects._replace(outcome=Outcome.PENDING, findings=(*others, found))
    return means.journal.end(transaction, effects)


def _last(all_steps: Iterable[Step]) -> Iterator[Step]:
    """Of the steps that leave a mark, the last one for each driver, and for each attribute."""
    last: dict[tuple[str, str], Step] = {}
    for step in all_steps:
        if step.write == LINK:
            last[step.device, step.value.rpartition(" ")[0]] = step
        elif step.write != MODPROBE:
            last[step.device, "driver" if steps.is_of_driver(step) else step.write] = step
    yield from last.values()


def _holds(step: Step, machine: Machine, kernel: Kernel) -> bool:
    """Whether what the step was for is so."""
    function = next((one for address, one in machine.functions.items() if str(address) == step.device), None)
    if function is None or step.expect is None:
        return function is not None and function.driver is not None
    return kernel.observe(step) == step.expect


def _all_done(effects: Effects) -> Effects:
    done = tuple(step._replace(state=State.DONE) for step in effects.steps)
    findings = tuple(one for one in effects.findings if one.code != WRITE_PENDING.code)
    return effects._replace(outcome=Outcome.DONE, steps=done, findings=findings)
