"""How each entry of a NodeState stands on a node: held, drifted, waiting, refused or unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.bootline import Boot, Shortfall, places, shortfalls
from hostdev.binding.drift import Drift, Item, same_driver
from hostdev.binding.effects import Effects, Outcome
from hostdev.binding.journal import Journal, Transaction
from hostdev.binding.managers import managers_of
from hostdev.binding.reconcile import Change
from hostdev.binding.state import NodeState
from hostdev.binding.steps import PROBE
from hostdev.findings.binding import TRANSACTION_OPEN
from hostdev.findings.driver import REMOVAL_PENDING
from hostdev.findings.hostuse import DEVICE_IN_USE
from hostdev.findings.nodestate import REBOOT_PENDING
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction

HELD_BY_VM = frozenset({DEVICE_IN_USE.code, REMOVAL_PENDING.code, TRANSACTION_OPEN.code})
"""What ends by itself, when a VM lets go of the device."""


class Standing(StrEnum):
    """How far an entry is from what it declares."""

    HELD = "held"
    DRIFTED = "drifted"
    WAITING = "waiting"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Line(NamedTuple):
    """One device of one entry, or one thing declared of the kernel."""

    entry: str
    device: str | None
    standing: Standing
    drift: tuple[Drift, ...] = ()
    findings: tuple[Finding, ...] = ()
    what: str = ""
    """What is declared, where no device is."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; its keys are a contract."""
        return {
            "entry": self.entry,
            "device": self.device,
            "state": str(self.standing),
            "drift": [one._asdict() for one in self.drift],
            "findings": [finding.as_dict() for finding in self.findings],
        }


def kernel_lines(state: NodeState, boot: Boot) -> Iterator[Line]:
    """What is declared of the kernel, each beside what it runs with."""
    missing = {one.place: one for one in shortfalls(state, boot)}
    for place, text in places(state).items():
        short = missing.get(place)
        if short is None:
            yield Line(place, None, Standing.HELD, what=text)
        else:
            standing = Standing.UNKNOWN if short.unknown else Standing.DRIFTED
            drift = Drift(short.what, short.want, short.have, short.configured or None)
            yield Line(place, None, standing, (drift,), (_pending(short, boot),), text)


def change_lines(made: Iterable[Change], last_writer: Callable[[PciAddress], str | None]) -> Iterator[Line]:
    """Each item of each change: what differs, what stands against mending it, and what wrote it last."""
    for change in made:
        for item in change.items:
            standing = standing_of(item, change.effects)
            by = last_writer(item.device) if item.device and item.drift else None
            drift = tuple(one._replace(by=by) for one in item.drift)
            device = str(item.device) if item.device else None
            told = (one for one in change.effects.findings if one.severity is not Severity.INFO or item.unseen)
            yield Line(item.entry.place, device, standing, drift, () if standing is Standing.HELD else tuple(told))


def standing_of(item: Item, effects: Effects) -> Standing:
    """How an item stands; `effects` is the plan that mends it."""
    against = {finding.code for finding in effects.findings if finding.severity is Severity.ERROR}
    if item.unknown:
        return Standing.UNKNOWN
    if not item.drift and not item.findings:
        return Standing.UNKNOWN if item.unseen else Standing.HELD
    if not against and not item.findings:
        return Standing.DRIFTED
    return Standing.WAITING if against and against <= HELD_BY_VM else Standing.REFUSED


def _pending(short: Shortfall, boot: Boot) -> Finding:
    if short.unknown:
        return REBOOT_PENDING.found(short.what, f"{short.want}: {short.unknown}", severity=Severity.INFO)
    now = f"; now it is {short.have}" if short.have else ""
    if short.configured:
        return REBOOT_PENDING.found(
            short.what, f"{short.want} stands in {short.configured}: reboot pending{now}", hint="reboot the node"
        )
    if boot.hidden:
        what = f"{short.want} is not set; whether it is for the next boot is not known here"
        return REBOOT_PENDING.found(short.what, f"{what}{now}", hint="look at the node's own files of the boot")
    return REBOOT_PENDING.found(short.what, f"{short.want} is not set: reboot pending once it is{now}")


class Authors:
    """Looks for them on one machine."""

    def __init__(self, host: Host, machine: Machine, journal: Journal) -> None:
        self._host = host
        self._machine = machine
        self._journal = journal

    def last_writer(self, address: PciAddress) -> str | None:
        """The manager that names a device, or the change of ours after which it is as we left it; None: not known."""
        function = self._machine.functions.get(address)
        if function is None:
            return None
        if not self._machine.source.endswith(".toml"):
            managers = [finding.message for finding in managers_of(self._host, function)]
            if managers:
                return listed(managers, 2)
        last = next((one for one in self._history if one.touches([address])), None)
        return None if last is None else _verdict(last, function)

    @cached_property
    def _history(self) -> tuple[Transaction, ...]:
        """Changes that were made in this boot, the latest first."""
        boot = self._machine.kernel.boot_id
        made = (one for one in self._journal.each() if one.boot_id == boot and one.effects.outcome == Outcome.DONE)
        return tuple(reversed(tuple(made)))


def _verdict(last: Transaction, function: PciFunction) -> str | None:
    """Whether the device is as the last change of ours left it."""
    device = str(function.address)
    probes = [step for step in last.effects.steps if step.device == device and step.write == PROBE]
    left = probes[-1].expect if probes else None
    if left and same_driver(left, function.driver):
        return f"passgate: {last.what}, {last.ended}"
    return f"another program, after passgate left it on {left} at {last.ended}" if left else None
