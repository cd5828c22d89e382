"""What is asked again right before each write, of a picture taken for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from domxml.finding import Evidence, Finding
from domxml.text import listed
from hostdev.binding import steps
from hostdev.binding.effects import MODPROBE, Step
from hostdev.binding.obstacles import of_host_use, weigh
from hostdev.findings.binding import CHANGED_MEANWHILE, HOLDERS_UNKNOWN
from hostdev.findings.hostuse import DEVICE_IN_USE
from hostdev.gate.rule import driver_evidence
from hostdev.holders.claim import How
from hostdev.holders.processes import ask_processes, processes
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import is_on_vfio


class Moment(NamedTuple):
    """A write that is about to be made: the step, its device, and the machine around it as they are now."""

    step: Step
    function: PciFunction
    machine: Machine
    host: Host
    despite: frozenset[str] = frozenset()


Check = Callable[[Moment], Iterable[Finding]]
"""Findings of severity error forbid the write; `obstacles.weigh` makes such ones of doubts, and accepts what may be."""


def takes_away(step: Step) -> bool:
    """Whether it takes a function from the driver that it is on."""
    return step.write.startswith(f"{steps.DRIVERS}/") and step.write.endswith("/unbind")


def host_use(moment: Moment) -> Iterator[Finding]:
    """Does the host use the device whose driver is about to be taken."""
    if takes_away(moment.step) and not is_on_vfio(moment.function):
        yield from of_host_use(moment.machine, moment.function, moment.despite)


def holders(moment: Moment) -> Iterator[Finding]:
    """Does a process have the device, or another member of its group, from a vfio driver."""
    if moment.step.write == MODPROBE:
        return
    group = moment.machine.group_of(moment.function.address)
    members = {moment.function.address, *(group.members if group else ())}
    for address in sorted(members & moment.machine.functions.keys()):
        function = moment.machine.functions[address]
        if not is_on_vfio(function) or not _matters(moment, function):
            continue
        seen = ask_processes(moment.host, function)
        claims = [claim for claim in seen.claims if claim.how in {How.OPEN, How.TOLD}]
        if claims:
            who = listed((f"{claim.guest or claim.who} (PID {claim.pid})" for claim in claims), 2)
            evidence = tuple(Evidence(f"/proc/{claim.pid}", claim.where) for claim in claims)
            yield DEVICE_IN_USE.found(str(address), f"is held by {who}", evidence=evidence)
        elif seen.hidden or not processes(moment.host):
            what = f"{len(seen.hidden)} processes could not be looked into" if seen.hidden else "there is no /proc"
            unknown = HOLDERS_UNKNOWN.found(str(address), what, evidence=(Evidence("/proc/*/fd", what),))
            yield from weigh([unknown], moment.despite)


def _matters(moment: Moment, member: PciFunction) -> bool:
    """The device itself; of its group, where a driver of the host would come into a group that a VM has."""
    probes = moment.step.write == steps.PROBE and moment.step.expect != member.driver
    return member.address == moment.function.address or probes


CHECKS: tuple[Check, ...] = (host_use, holders)
"""Asked on the running machine before each write."""


def is_the_same(before: PciFunction, now: PciFunction | None) -> Iterator[Finding]:
    """Is it the device that the change was planned for, as it was then."""
    subject = str(before.address)
    if now is None:
        yield CHANGED_MEANWHILE.found(subject, "it is not there any more", evidence=(driver_evidence(before),))
    elif _identity(before) != _identity(now):
        what = f"{now.vendor:04x}:{now.device:04x} is there, and it was {before.vendor:04x}:{before.device:04x}"
        yield CHANGED_MEANWHILE.found(subject, what, evidence=(driver_evidence(now),))
    elif (before.driver, before.driver_override) != (now.driver, now.driver_override):
        what = (
            f"it is on {now.driver or 'no driver'} with the override {now.driver_override or '(null)'}, and was on "
            f"{before.driver or 'no driver'} with {before.driver_override or '(null)'}"
        )
        yield CHANGED_MEANWHILE.found(subject, what, evidence=(driver_evidence(now),))


def _identity(function: PciFunction) -> tuple[int | None, ...]:
    return (
        function.vendor,
        function.device,
        function.class_code,
        function.subsystem_vendor,
        function.subsystem_device,
    )
