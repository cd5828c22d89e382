"""The plan: requests, allocations and the host's picture become slots of the guest. Pure, deterministic."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from domxml.document import Domain
from domxml.finding import Finding, Severity
from domxml.guestslot import GuestSlot
from domxml.pciaddress import PciAddress
from hostdev.inject.match import Match, match
from hostdev.inject.slots import guest_slots
from hostdev.vmi.request import Request

if TYPE_CHECKING:
    # An offline run has no machine and no VM, and need not load them.
    from hostdev.allocation.allocation import Allocation
    from hostdev.inventory.machine import Machine
    from hostdev.vmi.vmi import Vmi


WINDOW_FATAL = "bar-window-fatal"
MUCH = 256 << 20
"""Bytes; the registers of all host devices of a guest together find as much in every firmware's windows."""


class Inputs(NamedTuple):
    """Requests and allocations: with the domain and the machine, all that decides about a plan."""

    requests: tuple[Request, ...] | None = ()
    """None: the VM's author did not say, so all that was allocated is wanted."""
    named: tuple[Request, ...] = ()
    """Devices that a command line names beside them."""
    allocations: tuple[Allocation, ...] = ()
    guests: Mapping[str, PciAddress] = MappingProxyType({})
    """Guest addresses that the VM's spec itself asks for, by the name of the interface."""
    vmi: Vmi | None = None
    findings: tuple[Finding, ...] = ()
    """What was noticed while the channels were read."""
    allowed: frozenset[str] = frozenset()
    """Findings of the gate that the VM's author accepts; they are told all the same."""
    refused: frozenset[str] = frozenset()
    """Findings that refuse the VM because its author says so, errors or not."""
    limits: bool = False
    """Whether the VM's limits promise devices."""
    lacks: bool = False
    """Whether some of these are named by no channel, so far."""

    @property
    def all_requests(self) -> tuple[Request, ...]:
        """Asked for by name, in the VM or on a command line."""
        return (*(self.requests or ()), *self.named)

    @property
    def asks(self) -> bool:
        """There may be something to do."""
        return bool(self.requests or self.named or self.allocations or self.limits)


class Plan(NamedTuple):
    """The devices that shall be in the guest, why, and everything that was noticed on the way."""

    slots: tuple[GuestSlot, ...]
    origins: Mapping[str, Match]
    """Why each device is here, by the name of its slot."""
    findings: tuple[Finding, ...]


def plan(domain: Domain, inputs: Inputs, machine: Machine | None) -> Plan:
    """Find, name and check the devices; without a machine nothing of the host is known, or checked."""
    if inputs.asks:
        refuse_doubt(inputs)
    held, everything = domain.host_devices, inputs.requests is None
    spec = inputs.vmi.devices if inputs.vmi else ()
    claimed = {one.name: f"{one.claim}/{one.claim_request}" for one in spec if one.claim}
    matches, noticed = match(
        inputs.all_requests, inputs.allocations, held, inputs.guests, everything=everything, claimed=claimed
    )
    given = frozenset(one.device for one in inputs.allocations)
    slots, origins, doubts = guest_slots(matches, domain, machine, given)
    gate = _gate(machine, slots, inputs.allowed) if machine is not None and slots else ()
    return Plan(slots, origins, (*inputs.findings, *noticed, *doubts, *gate))


def refuse_doubt(inputs: Inputs) -> None:
    """Refuse channels that contradict each other, cannot be read, or name no device: which one to give is not said."""
    for finding in inputs.findings:
        doubtful = finding.severity is Severity.ERROR or _is_network_asked_for(finding, inputs)
        if doubtful and finding.code not in inputs.allowed:
            raise finding.refusal()


def asks_for_much(machine: Machine, devices: Iterable[object]) -> bool:
    """Whether they are known to ask for memory that not every guest has, or for I/O space, of which there is little."""
    functions = [machine.functions.get(device) for device in devices if isinstance(device, PciAddress)]
    registers = [bar for function in functions if function and function.bars for bar in function.bars.own]
    return sum(bar.size for bar in registers) >= MUCH or any(bar.kind == "io" for bar in registers)


def refuse_unwanted(findings: Sequence[Finding], inputs: Inputs) -> None:
    """Refuse a VM whose guest would lose all of PCI, and whatever else its author wants refused."""
    for finding in findings:
        fatal = finding.code == WINDOW_FATAL and finding.severity is Severity.ERROR
        if finding.code in inputs.refused or (fatal and finding.code not in inputs.allowed):
            raise finding.refusal()


def _is_network_asked_for(finding: Finding, inputs: Inputs) -> bool:
    """A request refers to a binding plugin's interface whose network has no device, perhaps not yet."""
    if finding.code != "network-without-device" or inputs.vmi is None:
        return False
    plugged = {interface.name for interface in inputs.vmi.interfaces if interface.plugin}
    return finding.subject in plugged & {request.device for request in inputs.all_requests}


def _gate(machine: Machine, slots: Sequence[GuestSlot], allowed: Collection[str]) -> tuple[Finding, ...]:
    from hostdev.gate.check import enforce  # noqa: PLC0415  an offline run has no gate

    return enforce(machine, (function.device for slot in slots for function in slot.functions), allowed=allowed)
