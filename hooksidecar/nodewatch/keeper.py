"""The offer of a node, made anew whenever the host, the file or kubelet's record changes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hooksidecar import log
from hooksidecar.nodewatch.look import Look
from hooksidecar.nodewatch.record import Record, grants_of_present_pods
from hooksidecar.nodewatch.uevents import Changes, Uevents
from hostdev.binding.state import By, NodeState
from hostdev.findings.offer import OFFER_NOT_FRESH
from hostdev.holders.pods import held_by_others
from hostdev.inventory.machine import Machine
from hostdev.inventory.places import is_id
from hostdev.inventory.renewal import renew_picture
from hostdev.kubelet.checkpoint import Grant
from hostdev.offer.pool import Basis, Held, Offer, Pool, Taken
from hostdev.offer.refresh import refresh_offer

EVERY = 10.0
"""Seconds between two turns without a reason: the file may have changed, or kubelet's record."""
STUCK = 10.0
"""Seconds that a look at the host may take."""
FRESH = 2.0
"""Seconds that a container's start waits for a look at its devices; kubelet waits for 30."""
MANY = 64
"""Functions that are not looked at one by one."""
_STATES = {
    (True, False): "free",
    (True, True): "given",
    (False, False): "unhealthy",
    (False, True): "given-unhealthy",
}
"""What a unit is counted as, by whether it is healthy, and whether a pod holds it."""


class Keeper:
    """Keeps the offer. It is read from memory, and without a lock that a look at the host may hold."""

    def __init__(  # noqa: PLR0913  all that an offer comes of
        self,
        declared: Callable[[Machine], NodeState],
        look: Look,
        record: Record,
        kubelet_dir: str,
        *,
        held: Callable[[Record], Held],
        turned: Callable[[Offer], None],
    ) -> None:
        self._declared = declared
        self._look = look
        self._record = record
        """One of its own: it is read in a thread of its own."""
        self._kubelet_dir = kubelet_dir
        self._held = held
        """What pods hold of device plugins, by a record that was just read."""
        self._turned = turned
        self.offer = Offer(Basis(NodeState(), Machine()), ())
        self._looked_at = float("-inf")
        """When the last look of our own at the machine began."""
        self._begun: float | None = None
        """When the turn that is under way began."""
        self._asked: SimpleQueue[Changes | threading.Event] = SimpleQueue()

    def start(self) -> None:
        """Take turn after turn, each in the one thread that may hang with the host."""
        for name, run in (("offer", self._run), ("uevents", self._listen)):
            threading.Thread(target=run, name=name, daemon=True).start()

    def ask(self, changes: Changes = Changes()) -> None:  # noqa: B008  a value
        """Take a turn soon: the host has changed, kubelet's record has, or the host was looked at."""
        self._asked.put(changes)

    def renew(self, addresses: Collection[PciAddress]) -> None:
        """Wait for a look at these, but not for long: what is remembered is rarely old."""
        if addresses:
            done = threading.Event()
            self._asked.put(Changes(frozenset(addresses)))
            self._asked.put(done)
            done.wait(FRESH)

    def findings(self) -> Iterator[Finding]:
        """What is offered otherwise than declared, and whether that is old."""
        yield from self.offer.findings
        yield from self.late()

    def late(self) -> Iterator[Finding]:
        """Whether a look at the host hangs."""
        begun = self._begun
        if begun is not None and time.monotonic() - begun > STUCK:
            text = f"a look at the host takes {time.monotonic() - begun:.0f} s: what is offered is what was seen before"
            yield OFFER_NOT_FRESH.found("host", text)

    def _run(self) -> None:
        waiting: list[threading.Event] = []
        changes, trouble = Changes(), ""
        while True:
            self._begun, before, trouble = time.monotonic(), trouble, ""
            try:
                self.turn(changes)
            except PassgateError as error:
                trouble = error.sentence()
                if trouble != before:
                    log.warning("what is offered stays as it is", reason=trouble)
            except Exception as error:  # noqa: BLE001  a defect here must not end what else the process does
                log.defect(error)
            self._begun = None
            for done in waiting:
                done.set()
            changes, waiting = self._next()

    def _next(self) -> tuple[Changes, list[threading.Event]]:
        """Wait for a reason to take a turn, and take all that have come."""
        changes, waiting = Changes(), []
        try:
            asked = self._asked.get(timeout=EVERY)
            while True:
                if isinstance(asked, threading.Event):
                    waiting.append(asked)
                else:
                    changes = Changes(
                        changes.functions | asked.functions, changes.groups | asked.groups, changes.lost or asked.lost
                    )
                asked = self._asked.get_nowait()
        except Empty:
            return changes, waiting

    def _listen(self) -> None:
        try:
            events = Uevents()
            while True:
                self._asked.put(events.wait())
        except OSError as error:
            log.warning("no events of the kernel: changes are seen late", reason=error.strerror)

    def turn(self, changes: Changes = Changes()) -> None:  # noqa: B008  a value
        """Look at what changed, and make of it what is offered now."""
        machine = self._picture(changes)
        if machine is None:
            return
        self._record.look()
        grants, state = self._record.grants, self._declared(machine)
        held = self._of_ours(state, self._held(self._record))
        readings = self._look.settings(machine, state)
        taken = self._taken(grants, held, machine)
        basis = Basis(state, machine, held, readings, taken, self._record.claims_ids)
        if basis != self.offer.basis:
            self.offer = refresh_offer(self.offer, basis)
        self._turned(self.offer)

    def _picture(self, changes: Changes) -> Machine | None:
        now, last = time.monotonic(), self._look.last()
        machine = self.offer.machine
        if not machine.functions or changes.lost:
            self._looked_at = now
            return self._look.whole()
        if last.machine is not None and last.begun > self._looked_at:
            machine = last.machine
        addresses = {*changes.functions, *_members(machine, changes.groups)}
        if len(addresses) > MANY:
            self._looked_at = now
            return self._look.whole()
        if addresses:
            machine = renew_picture(machine, self._look.some(addresses), addresses)
            self._looked_at = now
        return machine

    def _of_ours(self, state: NodeState, held: Held) -> Held:
        """Resources that are offered here, or were: their ids say so."""
        names = {entry.resource for entry in state.offers} | set(self.offer.of(By.PLUGIN))
        return {name: ids for name, ids in held.items() if name in names or all(map(is_id, ids))}

    def _taken(self, grants: Sequence[Grant], held: Collection[str], machine: Machine) -> Taken:
        """What other plugins have given to pods that are there."""
        others = tuple(grant for grant in grants if grant.resource not in held)
        with suppress(PassgateError):
            # Where that cannot be seen, those of ended pods count as well.
            others = grants_of_present_pods(self._kubelet_dir, others)
        return held_by_others(others, (), machine)


def _members(machine: Machine, groups: Collection[int]) -> Iterator[PciAddress]:
    for number in groups:
        group = machine.groups.get(number)
        yield from group.members if group else ()


def count_units(pools: Iterable[Pool]) -> Mapping[str, int]:
    """How many units of these pools are in which state."""
    return Counter(_STATES[one.is_healthy, one.is_held] for pool in pools for one in pool.units)
