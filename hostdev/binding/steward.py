"""Keeps a node as a NodeState file declares it: turn after turn, and never in a quarrel with another program."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding, Severity
from hostdev.binding.carry import Means, ask, carry, refused_by
from hostdev.binding.drift import Drift
from hostdev.binding.effects import Outcome
from hostdev.binding.reconcile import Change, Seen, look_at_node
from hostdev.binding.recover import recover
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import BadState, read_states, state_for
from hostdev.binding.status import Authors, Line, Standing, change_lines, kernel_lines, standing_of
from hostdev.findings.nodestate import NODE_STATE_CONTESTED, NODE_STATE_DRIFTED, NODE_STATE_WAITING
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.scan import scan

LOST_ROUNDS = 2
"""So often it is made anew what something else undid."""
SOON = 900.0
"""Seconds within which a loss counts as one of a quarrel; what drifts later is a new event."""
PAUSES = (60.0, 300.0, 1800.0)
"""Seconds until a change that failed is tried again: the first time, the second, and ever after."""


class Turn(NamedTuple):
    """What a turn saw and did."""

    lines: tuple[Line, ...] = ()
    findings: tuple[Finding, ...] = ()
    made: tuple[Change, ...] = ()
    """Changes that were begun, as they ended."""
    was_read: bool = True
    """Whether the file could be read: where it could not, nothing was looked at."""

    @property
    def standings(self) -> Counter[str]:
        """How many entries stand how."""
        return Counter(str(line.standing) for line in self.lines)


@dataclass
class _Memory:
    """What is remembered of one change: by its devices."""

    made_at: float | None = None
    losses: int = 0
    failures: int = 0
    again_at: float = 0.0


@dataclass
class Steward:
    """One file, one node."""

    read: Callable[[], bytes]
    """The file as it is now."""
    name: str
    """How errors name it."""
    node: str | None
    means: Means
    scan: Callable[[Host], Machine] = scan
    clock: Callable[[], float] = time.monotonic
    _text: bytes = b""
    _memories: dict[str, _Memory] = field(default_factory=dict)

    def turn(self) -> Turn:
        """Look, make what differs and may be made, and tell how it stands."""
        try:
            states = self._states()
        except BadState as error:
            found = tuple(flaw.finding._replace(subject=flaw.place) for flaw in error.flaws)
            return Turn(findings=found, was_read=False)
        except PassgateError as error:
            return Turn(findings=(refused_by(error),), was_read=False)
        try:
            return self._kept(states)
        except PassgateError as error:
            # The lock is another's, the journal cannot be written, or the host does not answer: the next turn looks.
            return Turn(findings=(refused_by(error),), was_read=False)

    def _kept(self, states: tuple[NodeState, ...]) -> Turn:
        seen = self._look(states)
        if self.means.journal.running(seen.machine.kernel.boot_id):
            # Cut off with the last agent, or not back yet: while it is open, its devices are left alone.
            recover(self.means)
            seen = self._look(states)
        state = state_for(states, seen.machine, self.node) or NodeState()
        due = tuple(self._due(seen.plan(state, self.means.despite)))
        made = tuple(self._make(change, state, states) for change in due)
        seen = self._look(states) if made else seen
        planned = seen.plan(state, self.means.despite)

        def told(host: Host) -> tuple[Line, ...]:
            return tuple(change_lines(planned, Authors(host, seen.machine, self.means.journal).last_writer))

        lines = (*self.means.kernel.ask(told), *kernel_lines(state, seen.boot))
        waiting = {device for change in made for device in _held(change)}
        lines = tuple(_as_waiting(line, waiting) for line in lines)
        return Turn(lines, tuple(self._findings(lines, planned, made)), made)

    def _states(self) -> tuple[NodeState, ...]:
        text = self.read()
        if text != self._text:
            # Another wish: what was lost or failed before says nothing of it.
            self._text, self._memories = text, {}
        return read_states(text, self.name)

    def _look(self, states: tuple[NodeState, ...]) -> Seen:
        return self.means.kernel.ask(lambda host: look_at_node(host, states, self.scan))

    def _due(self, planned: Iterable[Change]) -> Iterator[Change]:
        """What is to be made now: not what is contested, nor what failed a moment ago."""
        now = self.clock()
        for change in planned:
            memory = self._memories.setdefault(_key(change), _Memory())
            if change.effects.outcome == Outcome.NOTHING:
                if memory.made_at is None or now - memory.made_at > SOON:
                    # It is so by itself, or stayed: whatever took it once is over.
                    self._memories[_key(change)] = _Memory()
            elif change.effects.outcome == Outcome.PLANNED:
                if memory.made_at is not None:
                    soon = now - memory.made_at <= SOON
                    memory.losses, memory.made_at = (memory.losses + 1 if soon else 1), None
                if memory.losses < LOST_ROUNDS and now >= memory.again_at:
                    yield change

    def _make(self, change: Change, state: NodeState, states: tuple[NodeState, ...]) -> Change:
        """Carry a change out, planned anew on the machine as it is now."""
        seen = self._look(states)
        machine = seen.machine
        again = seen.plan(state, self.means.despite)
        now = next((one for one in again if _key(one) == _key(change)), None)
        if now is None:
            return change._replace(effects=change.effects._replace(outcome=Outcome.NOTHING))
        means = self.means.accepting(now.despite)
        effects = means.kernel.ask(lambda host: ask(now.effects, machine, host, means))
        if effects.outcome != Outcome.PLANNED:
            return now._replace(effects=effects)
        try:
            ended = carry(now.effects, machine, means, now.what)
        except PassgateError as error:
            ended = now.effects._replace(outcome=Outcome.REFUSED, findings=(refused_by(error),))
        self._remember(now, Outcome(ended.outcome))
        return now._replace(effects=ended)

    def _remember(self, change: Change, outcome: Outcome) -> None:
        memory = self._memories[_key(change)]
        if outcome == Outcome.DONE:
            memory.made_at, memory.failures = self.clock(), 0
        elif outcome in {Outcome.UNDONE, Outcome.STUCK, Outcome.PENDING}:
            memory.again_at = self.clock() + PAUSES[min(memory.failures, len(PAUSES) - 1)]
            memory.failures += 1

    def _findings(self, lines: Iterable[Line], planned: Iterable[Change], made: Iterable[Change]) -> Iterator[Finding]:
        contested = {
            str(device): self._memories[_key(change)].losses
            for change in planned
            if self._memories.get(_key(change), _Memory()).losses >= LOST_ROUNDS
            for device in change.devices
        }
        told = {finding for change in made for finding in change.effects.findings}
        for line in lines:
            subject = line.device or line.entry
            what = f"{line.entry}: {'; '.join(map(_difference, line.drift))}"
            if line.device in contested:
                by = next((one.by for one in line.drift if one.by), None)
                who = f" by {by}" if by else ""
                lost = f"was changed back {contested[line.device]} times within minutes{who}"
                yield NODE_STATE_CONTESTED.found(subject, f"{what}; it {lost}, and is left alone now")
            elif line.standing is Standing.WAITING:
                yield NODE_STATE_WAITING.found(subject, what)
            elif line.standing is not Standing.HELD and line.device:
                yield NODE_STATE_DRIFTED.found(subject, what)
            yield from (one for one in line.findings if one.severity is not Severity.INFO)
        yield from sorted(one for one in told if one.severity is Severity.ERROR)


def _key(change: Change) -> str:
    return " ".join(map(str, change.devices)) or change.entry


def _held(change: Change) -> tuple[str, ...]:
    return tuple(str(item.device) for item in change.items if standing_of(item, change.effects) is Standing.WAITING)


def _difference(drift: Drift) -> str:
    return f"{drift.what} is {'none' if drift.have is None else drift.have}, not {drift.want}"


def _as_waiting(line: Line, waiting: set[str]) -> Line:
    """What the checks before a write found out holds for how it stands."""
    return line._replace(standing=Standing.WAITING) if line.device in waiting else line
