"""From wherever a change was cut off back to how the devices were: steps again, from what is there now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from domxml.finding import Finding
from hostdev.binding import steps
from hostdev.binding.effects import LINK, Step, vf_of_link
from hostdev.binding.journal import Before, Transaction
from hostdev.binding.vfs import SERVICES, is_number, restore_vfs, settings_before
from hostdev.binding.vfsettings import BY_NAME
from hostdev.findings.binding import CHANGED_MEANWHILE
from hostdev.findings.sriov import SETTINGS_NOT_RESTORED
from hostdev.gate.rule import attribute_evidence, driver_evidence
from hostdev.inventory.machine import Machine, PciFunction


def restore(machine: Machine, transaction: Transaction) -> tuple[tuple[Step, ...], tuple[Finding, ...]]:
    """The steps that put back each device, and those that something else has changed since: they are left alone."""
    found: list[Finding] = []
    back: list[tuple[Before, PciFunction]] = []
    ports = {one.address for one in transaction.before if _is_remade(transaction, one)}
    lost = [one for one in transaction.before if one.physfn in ports]
    for before in transaction.before:
        if before in lost:
            continue
        now = machine.functions.get(before.address)
        against = _against(before, now, None if _takes_any(transaction, before) else _goals(transaction, before))
        if against is not None:
            found.append(against)
        elif now is not None:
            back.append((before, now))
    ours = [(before, now) for before, now in back if before.address in ports]
    stopped = {step.device for step in transaction.effects.steps if step.write.endswith(BY_NAME[SERVICES].file)}
    vfs = (
        restore_vfs(pf, now, [vf for vf in lost if vf.physfn == pf.address], stopped_for=str(pf.address) in stopped)
        for pf, now in ours
    )
    todo = (*chain.from_iterable(vfs), *_settings(machine, transaction, lost), *_steps(back))
    return todo, (*found, *_not_restored(transaction, ours, lost))


def _settings(machine: Machine, transaction: Transaction, lost: Sequence[Before]) -> Iterator[Step]:
    """What was set of VFs that stayed."""
    written: dict[str, set[str]] = {}
    for step in transaction.effects.steps:
        if step.write == LINK:
            written.setdefault(step.device, set()).add(vf_of_link(step.value)[2])
    for before in transaction.before:
        port = machine.functions.get(before.physfn) if before.physfn else None
        names = frozenset(written.get(str(before.address), ()))
        if names and port and before not in lost and before.address in port.virtfns:
            yield from settings_before(port, before, port.virtfns.index(before.address), names)


def _not_restored(
    transaction: Transaction, ports: Iterable[tuple[Before, PciFunction]], lost: Sequence[Before]
) -> Iterator[Finding]:
    """What no undo gives back."""
    for pf, _ in ports:
        if [vf for vf in lost if vf.physfn == pf.address and vf.settings is None]:
            what = f"MAC addresses and VLANs of the {pf.num_vfs} VFs that it had were not read before"
            yield SETTINGS_NOT_RESTORED.found(str(pf.address), what)
    quotas = {step.device for step in transaction.effects.steps if "/sriov_admin/" in step.write}
    for device in sorted(quotas):
        what = "quotas and times of VFs that were written stay as they are"
        yield SETTINGS_NOT_RESTORED.found(device, what)


def _is_remade(transaction: Transaction, before: Before) -> bool:
    return any(step.device == str(before.address) and is_number(step) for step in transaction.effects.steps)


def _goals(transaction: Transaction, before: Before) -> frozenset[str | None]:
    """What the change itself may have made of a device."""
    device = str(before.address)
    own = [step for step in (*transaction.effects.steps, *transaction.undo) if step.device == device]
    meant = (step.expect for step in own if step.write == steps.PROBE or step.write.endswith(steps.OVERRIDE))
    return frozenset({*meant, before.driver, before.override})


def _against(before: Before, now: PciFunction | None, goals: frozenset[str | None] | None) -> Finding | None:
    """What forbids to put it back; without goals it may be on any driver."""
    subject = str(before.address)
    if now is None:
        evidence = attribute_evidence(before.address, "", None)
        return CHANGED_MEANWHILE.found(subject, "it is not there any more", evidence=(evidence,))
    if Before.of(now).identity != before.identity:
        return CHANGED_MEANWHILE.found(subject, "another device is there now", evidence=(driver_evidence(now),))
    if goals is not None and now.driver is not None and now.driver not in goals:
        what = f"something else gave it to {now.driver}"
        return CHANGED_MEANWHILE.found(subject, what, evidence=(driver_evidence(now),))
    known = goals or {before.driver, before.override}
    if now.driver_override is not None and now.driver_override not in known:
        what = f"something else wrote {now.driver_override} into driver_override"
        evidence = attribute_evidence(before.address, steps.OVERRIDE, now.driver_override)
        return CHANGED_MEANWHILE.found(subject, what, evidence=(evidence,))
    return None


def _takes_any(transaction: Transaction, before: Before) -> bool:
    """A probe without an override gives it to any driver."""
    device = str(before.address)
    return any(
        step.device == device and step.write == steps.PROBE and step.expect is None
        for step in transaction.effects.steps
    )


def _steps(back: Sequence[tuple[Before, PciFunction]]) -> Iterator[Step]:
    """All let go first, as on the way there."""
    moved = [(before, now) for before, now in back if now.driver != before.driver]
    for before, now in moved:
        if before.driver is None:
            yield steps.unbind(before.address, str(now.driver))
        else:
            yield from steps.move(before.address, now.driver, now.driver_override, before.driver)
    for before, _ in moved:
        if before.driver is not None:
            yield steps.probe(before.address, before.driver)
    yield from _overrides(back)


def _overrides(back: Iterable[tuple[Before, PciFunction]]) -> Iterator[Step]:
    """Last, so that nothing else takes it on the way."""
    for before, now in back:
        set_on_the_way = now.driver != before.driver and before.driver is not None
        there = before.driver if set_on_the_way else now.driver_override
        if there != before.override:
            yield steps.override(before.address, before.override, "as it was before")
