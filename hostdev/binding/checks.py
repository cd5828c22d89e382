"""What is asked again right before each write, of a picture taken for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding import steps
from hostdev.binding.effects import LINK, MODPROBE, Step
from hostdev.binding.managers import managers_of
from hostdev.binding.obstacles import of_host_use, weigh
from hostdev.binding.vfs import against_loss, is_number, teardowns
from hostdev.findings.binding import CHANGED_MEANWHILE, HOLDERS_UNKNOWN
from hostdev.findings.hostuse import DEVICE_IN_USE
from hostdev.gate.device import would_lose_vfs
from hostdev.gate.driver import removal_finding
from hostdev.gate.rule import attribute_evidence, driver_evidence
from hostdev.holders.claim import Claim
from hostdev.holders.holders import Answer
from hostdev.holders.inquiry import Inquiry, describe_holders
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.scan import scan
from hostdev.inventory.vfiodrivers import is_on_vfio, vfio_driver


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


def prepares(step: Step) -> bool:
    """Whether it says that a vfio driver alone may have a function: at the next unbind one has it."""
    return step.write.endswith(f"/{steps.OVERRIDE}") and vfio_driver(step.value) is not None


def host_use(moment: Moment) -> Iterator[Finding]:
    """Does the host use the device whose driver, or MAC address, is about to be taken."""
    on_host = moment.function.driver is not None and not is_on_vfio(moment.function)
    if on_host and (takes_away(moment.step) or prepares(moment.step) or moment.step.write == LINK):
        yield from of_host_use(moment.machine, moment.function, moment.despite)


def keeps_vfs(moment: Moment) -> Iterator[Finding]:
    """Has a PF got VFs meanwhile, which its driver would take along, on vfio-pci as well."""
    if takes_away(moment.step) or prepares(moment.step):
        yield from would_lose_vfs(moment.function)


def holders(moment: Moment) -> Iterator[Finding]:
    """Does a VM, a pod or a process have the device, or another member of its group, from a vfio driver."""
    if moment.step.write == MODPROBE:
        return
    members = [member for member in _members(moment) if is_on_vfio(member) and _matters(moment, member)]
    if members:
        inquiry = Inquiry(moment.host, root=Path(moment.host.root))
        for member in members:
            yield from weigh(_held(inquiry.ask(moment.machine, member, whole=False), member), moment.despite)


def _members(moment: Moment) -> Iterator[PciFunction]:
    group = moment.machine.group_of(moment.function.address)
    members = {moment.function.address, *(group.members if group else ())}
    yield from (moment.machine.functions[one] for one in sorted(members & moment.machine.functions.keys()))


def _held(answer: Answer, function: PciFunction) -> Iterator[Finding]:
    subject = str(function.address)
    if answer.holding:
        evidence = tuple(Evidence(_place(claim), claim.where) for claim in answer.holding)
        yield DEVICE_IN_USE.found(subject, f"is held by {describe_holders(answer.holding)}", evidence=evidence)
    elif not answer.complete:
        whys = {f"{asked.how}": asked.why for asked in answer.asked if asked.why and not asked.missing}
        if answer.claimed:
            whys["claims"] = f"{len(answer.claimed)} devices of resource claims, of which only their driver knows which"
        what = listed(whys.values(), 2) or "not every source could be asked"
        evidence = tuple(Evidence(how, why) for how, why in whys.items())
        yield HOLDERS_UNKNOWN.found(subject, what, evidence=evidence)


def _place(claim: Claim) -> str:
    return f"/proc/{claim.pid}" if claim.pid else f"{claim.how} {claim.who}"


def removals(moment: Moment) -> Iterator[Finding]:
    """Does a removal wait that this write would wait for as well, and could then not be ended."""
    parent = moment.machine.functions.get(moment.function.physfn) if moment.function.physfn else None
    for function in filter(None, (moment.function, parent)):
        if function.removing:
            yield removal_finding(function)


def vfs_are_free(moment: Moment) -> Iterator[Finding]:
    """Is no VF held or used that would vanish, and would the write wait for one of another PF."""
    if not is_number(moment.step):
        return
    every = scan(moment.host, use=False)
    yield from map(removal_finding, teardowns(every))
    own = [one.address for one in every.functions.values() if one.physfn == moment.function.address]
    if not own or moment.step.value == str(len(own)):
        return
    near = scan(moment.host, only=own)
    inquiry = Inquiry(moment.host, root=Path(moment.host.root))
    for vf in (near.functions[address] for address in own if address in near.functions):
        yield from against_loss(near, vf)
        if is_on_vfio(vf):
            yield from weigh(_held(inquiry.ask(near, vf, whole=False), vf), moment.despite)


def managers(moment: Moment) -> Iterator[Finding]:
    """Does another program manage the device."""
    if moment.step.write != MODPROBE:
        yield from weigh(managers_of(moment.host, moment.function), moment.despite)


def _matters(moment: Moment, member: PciFunction) -> bool:
    """The device itself; of its group, where a driver of the host would come into a group that a VM has."""
    probes = moment.step.write == steps.PROBE and moment.step.expect != member.driver
    return member.address == moment.function.address or probes


CHECKS: tuple[Check, ...] = (removals, host_use, keeps_vfs, holders, vfs_are_free, managers)
"""Asked on the running machine before each write."""


def is_there(address: PciAddress, now: PciFunction | None) -> Iterator[Finding]:
    """Is there a device at all."""
    if now is None:
        evidence = (attribute_evidence(address, "uevent", None),)
        yield CHANGED_MEANWHILE.found(str(address), "it is not there", evidence=evidence)


def is_the_same(before: PciFunction, now: PciFunction | None) -> Iterator[Finding]:
    """Is it the device that the change was planned for, as it was then."""
    subject = str(before.address)
    if now is None:
        yield from is_there(before.address, now)
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
