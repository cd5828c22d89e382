"""Taking a resource over from another agent on the node: the one that an update replaces, or one that was killed.

Kubelet forgets a plugin when any ListAndWatch of its resource ends, or its socket leaves plugins_registry, whichever
plugin's it was: the end of the old agent would end the registration of the new one, and the pods that arrive then fail
for good. A registration that fails makes kubelet forget which plugin is connected, and leaves devices and endpoint as
they are; then the end of the other ends nothing. The next registration makes that good.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from enum import Enum

from hooksidecar.unixsocket import is_alive

SETTLING = 2.5
"""Seconds for kubelet to find the new socket by itself: it looks every second, and registers it once more."""
LONGEST = 120.0
"""Seconds that an agent which is replaced may take to end."""
FADING = 1.5
"""Seconds after which kubelet has noticed that a socket is gone."""
TICK = 0.05
"""Seconds between two looks."""


class Step(Enum):
    """What is to be done now."""

    WAIT = "wait"
    FORGET = "forget"
    CLEAR = "clear"
    REGISTER = "register"


class Handover:
    """From the first registration beside another agent to the one after its end."""

    def __init__(self, others: Collection[str]) -> None:
        self._others = others
        """Their sockets; that of one that was killed leaves kubelet's sight as well, when it is cleared."""
        self._settled_at = time.monotonic() + SETTLING
        self._until = time.monotonic() + LONGEST
        self._forgotten = False
        self._gone_at: float | None = None

    def next(self, *, found_by_itself: bool) -> Step:
        """Tell what is to be done; each step once."""
        now = time.monotonic()
        if not self._forgotten:
            if now < self._settled_at and not found_by_itself:
                return Step.WAIT
            self._forgotten = True
            return Step.FORGET
        if self._gone_at is None:
            if now < self._until and any(map(is_alive, self._others)):
                return Step.WAIT
            self._gone_at = now
            return Step.CLEAR
        return Step.WAIT if now - self._gone_at < FADING else Step.REGISTER
