"""How a node is looked at: its host in each way, and the file that declares its state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hooksidecar import log
from hostdev.binding.reconcile import read_declared_settings
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import read_states, state_for
from hostdev.binding.vfsettings import UNREAD, Readings
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.inject.gather import read_file
from hostdev.inventory.machine import Machine
from hostdev.inventory.platform import read_boot_id
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan

WHOLE = 60.0
"""Seconds between two looks at the whole, where others take none."""


class Picture(NamedTuple):
    """A look at the whole machine."""

    machine: Machine | None = None
    begun: float = 0.0
    """When it began, of time.monotonic."""


class Pictures:
    """Looks at the whole host again and again, in a thread that may hang with it: an event may be lost."""

    def __init__(self, look: Callable[[], Machine | None]) -> None:
        self._look = look
        self._unread: tuple[Finding, ...] = ()
        self.last = Picture()
        self.read_at = time.monotonic()
        """When the host was read whole the last time, or the beginning."""

    def start(self, looked: Callable[[], None]) -> None:
        """Look, and say so each time."""

        def run() -> None:
            while True:
                time.sleep(WHOLE)
                try:
                    self.look()
                except PassgateError:
                    continue  # It is a finding.
                except Exception as error:  # noqa: BLE001  a defect here must not end what else the process does
                    log.defect(error)
                looked()

        threading.Thread(target=run, name="pictures", daemon=True).start()

    def look(self) -> Machine | None:
        """Look now; from any thread."""
        begun = time.monotonic()
        try:
            machine = self._look()
        except PassgateError as error:
            self._unread = (HOST_UNREADABLE.found(error.subject, error.message, hint=error.hint),)
            raise
        self._unread = ()
        self.last, self.read_at = Picture(machine, begun), time.monotonic()
        return machine

    def findings(self) -> Iterator[Finding]:
        """Why the host could not be looked at the last time."""
        yield from self._unread


class Look(NamedTuple):
    """How the host is looked at. Each may take its time, or never return."""

    whole: Callable[[], Machine | None]
    some: Callable[[Collection[PciAddress]], Machine]
    last: Callable[[], Picture]
    """The last look of others at the whole."""
    settings: Callable[[Machine, NodeState], Readings] = lambda _machine, _state: UNREAD
    """At what VFs are set up with, where that is declared."""


def look_at(host: str, whole: Callable[[], Machine | None], last: Callable[[], Picture], *, bars: bool = False) -> Look:
    """Look at a host in each way; at BARs as the looks at the whole do."""
    return Look(whole, looker_at_some(host, bars=bars), last, _settings_reader(host))


def looker_at_some(host: str, *, bars: bool = False) -> Callable[[Collection[PciAddress]], Machine]:
    """A function that looks at some functions and all that decides about them."""

    def look(addresses: Collection[PciAddress]) -> Machine:
        with open_host(host) as opened:
            return scan(opened, only=addresses, use=False, bars=bars)

    return look


def _settings_reader(host: str) -> Callable[[Machine, NodeState], Readings]:
    """A function that reads what VFs are set up with, where a state declares that."""

    def read(machine: Machine, state: NodeState) -> Readings:
        if not any(entry.settings for entry in state.vfs):
            return UNREAD
        with open_host(host) as opened:
            return read_declared_settings(opened, machine, [state])

    return read


def read_boot_id_of(host: str) -> str:
    """The boot that a host is in; empty where there is no host."""
    if host == "none":
        return ""
    with open_host(host) as opened:
        return read_boot_id(opened).lower()


def declared_by(file: str, node: str) -> Callable[[Machine], NodeState]:
    """What a NodeState file declares for a machine; while it cannot be read, what it declared before."""
    text = b""
    states: tuple[NodeState, ...] = ()

    def declared(machine: Machine) -> NodeState:
        nonlocal text, states
        try:
            if (now := read_file(file)) != text:
                states, text = read_states(now, file), now
        except PassgateError:
            # What is wrong with it is a finding of the upkeep. Before it was ever read nothing is offered at all.
            if not text:
                raise
        return state_for(states, machine, node or None) or NodeState()

    return declared
