"""The agent's turns: wait until there is a reason to look, look, tell."""

from __future__ import annotations

import time
from collections.abc import Callable

from hooksidecar.agent.node import Node
from hooksidecar.agent.surroundings import Surroundings
from hooksidecar.agent.sweep import Sweep
from hooksidecar.agent.watch import POLL, Watch, Woken

WHOLE = 60.0
"""Seconds between two sweeps over all pods, whatever was told meanwhile."""
STUCK = 60.0
"""Seconds without a turn that are too many; a turn comes every ten."""


class Loop:
    """Goes round until it is told to end."""

    def __init__(
        self,
        node: Node,
        watch: Watch,
        surroundings: Surroundings,
        *,
        tell: Callable[[Sweep], None],
        ended: Callable[[], bool],
    ) -> None:
        self._node = node
        self._record = node.record
        self._watch = watch
        self._surroundings = surroundings
        self._tell = tell
        self._ended = ended
        self._turned = time.monotonic()

    def once(self) -> Sweep:
        """One sweep over all pods, and a look around."""
        swept = self._node.sweep(whole=True)
        self._surroundings.look(swept.grants)
        return self._told(swept)

    def run(self) -> None:
        """Sweep whenever there is a reason to."""
        self._surroundings.start(lambda: self._record.grants, self._watch.wake)
        woken, look_at, whole_at = Woken(everything=True), 0.0, 0.0
        while not self._ended():
            now = time.monotonic()
            whole = woken.everything or now >= whole_at
            look = whole or woken.checkpoint or now >= look_at
            before = self._record.grants
            swept = self._node.sweep(look=look, whole=whole, touched=woken.pods)
            if swept.grants is not before:
                self._surroundings.ask()
            self._told(swept)
            self._turned = time.monotonic()
            whole_at = now + WHOLE if whole else whole_at
            # A torn file may be whole a moment later, and nobody tells.
            look_at = now + (POLL if self._record.trouble else self._watch.patience) if look else look_at
            woken = self._watch.wait(min(self._node.next(), whole_at, look_at) - self._turned)

    def trouble(self) -> str:
        """Why the agent is of no use now; empty when it is well."""
        late = time.monotonic() - self._turned
        return f"no sweep has ended for {late:.0f} s" if late > STUCK else ""

    def _told(self, swept: Sweep) -> Sweep:
        seen = self._surroundings.seen
        swept = swept._replace(machine=seen.machine, findings=(*swept.findings, *seen.findings))
        self._tell(swept)
        return swept
