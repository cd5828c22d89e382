"""`passgate node watch`: kernel events of PCI devices as they come, with the verdict before and after."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domxml.errors import BadInput, ExitCode, HostUnreadable
from domxml.pciaddress import PciAddress
from hostdev.cli import devices
from hostdev.cli.devices import Device, list_devices
from hostdev.inventory.devicenames import find_addresses
from hostdev.inventory.pciids import Name
from hostdev.printing import optional, output
from hostdev.printing.cells import Cell, Row, Tone, dash
from hostdev.printing.documents import Document, document
from hostdev.printing.screen import Screen

States = Mapping[PciAddress, Device]


@dataclass(frozen=True, slots=True)
class Turn:
    """How a device was before an event and is after it; None while it is not there."""

    address: PciAddress
    before: Device | None
    after: Device | None

    @property
    def matters(self) -> bool:
        """The verdict is another one."""
        return _answer(self.before) != _answer(self.after)


@dataclass(frozen=True, slots=True)
class Event:
    """A kernel event, what it did to its device, and to the verdicts of others."""

    action: str
    turn: Turn
    others: tuple[Turn, ...]

    def concerns(self, wanted: Sequence[PciAddress]) -> bool:
        """One of these devices has to do with it."""
        return any(turn.address in wanted for turn in (self.turn, *self.others))


def run(arguments: argparse.Namespace) -> int:
    """Print events until interrupted, or until there were enough of them."""
    screen = Screen.of(arguments.color)
    wanted = tuple(address for word in arguments.address for address in _called(word))
    left = arguments.count
    for event in _events(arguments.timeout):
        if wanted and not event.concerns(wanted):
            continue
        if arguments.output == "json":
            output.write(json.dumps(_document(event)) + "\n")
        else:
            _print(screen, event)
        output.flush()
        left = None if left is None else left - 1
        if left is not None and left <= 0:
            break
    return ExitCode.DONE


def _called(word: str) -> tuple[PciAddress, ...]:
    """What a word names; an address may be that of a device that is yet to come."""
    address = _address(word)
    return (address,) if address else find_addresses(devices.machine_at(devices.LIVE), [word])


def _events(timeout: float | None) -> Iterator[Event]:
    """Events from now on, until the time is over."""
    monitor = _monitor()
    before = _states()
    output.note(f"note: watching {len(before)} functions; interrupt to end")
    end = None if timeout is None else time.monotonic() + timeout
    while end is None or time.monotonic() < end:
        device = monitor.poll(None if end is None else max(end - time.monotonic(), 0))
        address = None if device is None else _address(device.sys_name)
        if address is None:
            continue
        after = _states()
        others = (Turn(other, before.get(other), after.get(other)) for other in sorted({*before, *after} - {address}))
        turn = Turn(address, before.get(address), after.get(address))
        yield Event(device.action, turn, tuple(other for other in others if other.matters))
        before = after


def _monitor() -> Any:
    pyudev = optional.module("pyudev", "pyudev", extra="cli")
    try:
        # The kernel's own events: a node in a container has no udevd to repeat them.
        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
        monitor.filter_by("pci")
        monitor.start()
    except OSError as error:
        raise HostUnreadable(
            "no-events", f"the kernel's events cannot be received: {error.strerror}", hint="run it on the node itself"
        ) from error
    return monitor


def _address(name: str) -> PciAddress | None:
    try:
        return PciAddress.parse(name)
    except BadInput:
        return None


def _states() -> States:
    return {
        device.function.address: device
        for device in list_devices(devices.machine_at(devices.LIVE), lambda _function: Name())
    }


def _answer(device: Device | None) -> Cell:
    return Cell("gone", Tone.BAD) if device is None else device.answer


def _print(screen: Screen, event: Event) -> None:
    screen.line(time.strftime("%H:%M:%S  "), Cell(f"{event.action:<8}", Tone.STRONG), *_told(event.turn))
    for other in event.others:
        screen.line(" " * 18, *_told(other))


def _told(turn: Turn) -> Row:
    before, after = (None if device is None else device.function.driver for device in (turn.before, turn.after))
    driver = f"driver {dash(before)} -> {dash(after)}" if before != after else f"driver {dash(after)}"
    verdict = (_answer(turn.before), " -> ", _answer(turn.after)) if turn.matters else (_answer(turn.after),)
    return (f"{turn.address}  {driver}  passthrough ", *verdict)


def _document(event: Event) -> Document:
    return document(
        "Event",
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        action=event.action,
        **_turn(event.turn),
        others=[_turn(other) for other in event.others],
    )


def _turn(turn: Turn) -> Document:
    return {"address": str(turn.address), "before": _state(turn.before), "after": _state(turn.after)}


def _state(device: Device | None) -> Document | None:
    if device is None:
        return None
    return {"driver": device.function.driver, "passes": device.passes, "reasons": list(device.reasons)}
