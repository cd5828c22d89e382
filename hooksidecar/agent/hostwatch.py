"""What takes its time: the host's devices, and kubelet's PodResources API. Looked at aside; no pod waits for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding
from hooksidecar import deadline, log
from hooksidecar.agent.record import grants_of_present_pods
from hostdev.findings.holders import PODRESOURCES_UNREACHABLE
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.holders.pods import granted_twice
from hostdev.inventory.machine import Machine
from hostdev.kubelet import podresources
from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.podresources import disagreements

EVERY = 30.0
CONFIRM = 1.0
"""Seconds until what differs is looked at again."""


class Seen(NamedTuple):
    """The last look."""

    machine: Machine | None = None
    findings: tuple[Finding, ...] = ()


class Surroundings:
    """Keeps the last look, and takes the next one in a thread of its own."""

    def __init__(self, look: Callable[[], Machine | None], directory: str) -> None:
        self._look = look
        self._directory = directory
        self._socket = os.path.join(directory, podresources.SOCKET)  # noqa: PTH118
        self._differing: frozenset[Finding] | None = None
        self._doubtful = False
        self._asked = threading.Event()
        self.seen = Seen()

    def look(self, grants: Sequence[Grant]) -> Seen:
        """Look now."""
        machine, found = self._machine()
        try:
            alive = grants_of_present_pods(self._directory, grants)
        except PassgateError as error:
            self.seen = Seen(machine, (*found, _unreadable(error)))
        else:
            twice = granted_twice(alive, machine) if machine else ()
            self.seen = Seen(machine, (*found, *twice, *self._compare(alive)))
        return self.seen

    def start(self, grants: Callable[[], Sequence[Grant]], looked: Callable[[], None]) -> None:
        """Look again and again, and say so each time."""

        def run() -> None:
            while True:
                self._asked.clear()
                try:
                    self.look(grants())
                except Exception as error:  # noqa: BLE001  a defect here must not end what else the agent does
                    log.error("defect", exception=type(error).__name__, where=deadline.raised_at(error))
                looked()
                self._asked.wait(CONFIRM if self._doubtful else EVERY)

        threading.Thread(target=run, name="surroundings", daemon=True).start()

    def ask(self) -> None:
        """Look soon: something changed."""
        self._asked.set()

    def _machine(self) -> tuple[Machine | None, tuple[Finding, ...]]:
        """The picture; where nothing changed it is the very same one."""
        last = self.seen.machine
        try:
            machine = self._look()
        except PassgateError as error:
            return last, (_unreadable(error),)
        return last if machine == last else machine, ()

    def _compare(self, grants: Sequence[Grant]) -> tuple[Finding, ...]:
        try:
            pods = podresources.list_podresources(self._socket)
        except PassgateError as error:
            self._differing = None
            return (PODRESOURCES_UNREACHABLE.found(error.subject or self._socket, error.message, hint=error.hint),)
        found = frozenset(disagreements(grants, pods))
        # The two are not read at the same moment: what differs is told when it still does at the next look.
        last, self._differing = self._differing, found
        confirmed = found if last is None else found & last
        self._doubtful = confirmed != found
        return tuple(sorted(confirmed))


def _unreadable(error: PassgateError) -> Finding:
    return HOST_UNREADABLE.found(error.subject, error.message, hint=error.hint)
