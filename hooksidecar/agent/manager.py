"""The agent's upkeep of declared node state, in a thread of its own: no pod waits for a driver."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Finding
from hooksidecar import log
from hostdev.binding.carry import Means
from hostdev.binding.journal import Journal
from hostdev.binding.steward import Steward, Turn
from hostdev.inject.gather import read_file

EVERY = 30.0
"""Seconds between two turns; a file that changed is seen by the next one."""
GRACE = 8.0
"""Seconds for a change that is on its way to be undone, when the agent is told to end."""


class Upkeep(NamedTuple):
    """What the last turn saw, and how often changes since the agent began ended how."""

    findings: tuple[Finding, ...] = ()
    standings: Mapping[str, int] = MappingProxyType({})
    outcomes: Mapping[str, int] = MappingProxyType({})


class Manager:
    """Takes turns until the agent ends."""

    def __init__(self, steward: Steward, every: float = EVERY) -> None:
        self._ending = threading.Event()
        steward.means = steward.means._replace(stop=self._ending.is_set)
        self._steward = steward
        self._every = every
        self._outcomes: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self.seen = Upkeep()
        self.read_at = time.monotonic()
        """When the file could be read the last time, or the beginning."""

    def start(self, turned: Callable[[], None]) -> None:
        """Take turn after turn, and say so each time."""

        def run() -> None:
            while not self._ending.is_set():
                self.turn()
                turned()
                self._ending.wait(self._every)

        self._thread = threading.Thread(target=run, name="manager", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; a change that was begun is undone."""
        self._ending.set()
        if self._thread:
            self._thread.join(GRACE)

    def turn(self) -> Upkeep:
        """Take one turn now."""
        try:
            turn = self._steward.turn()
        except Exception as error:  # noqa: BLE001  a defect here must not end what else the agent does
            log.defect(error)
            return self.seen
        if turn.was_read:
            self.read_at = time.monotonic()
        self._tell(turn)
        self._outcomes.update(str(change.effects.outcome) for change in turn.made)
        self.seen = Upkeep(turn.findings, turn.standings, dict(self._outcomes))
        return self.seen

    def _tell(self, turn: Turn) -> None:
        for change in turn.made:
            log.info("node state", entry=change.entry, outcome=str(change.effects.outcome), journal=change.effects.id)


def steward_of(file: str, node: str, state_dir: str) -> Steward:
    """Keeps the running node as a file declares it."""
    return Steward(lambda: read_file(file), file, node or None, Means(Journal(Path(state_dir))))
