"""What the node offers to kubelet, made anew whenever the host, the file or kubelet's record changes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hooksidecar import log
from hooksidecar.agent.given import Given
from hooksidecar.agent.hostwatch import Seen
from hooksidecar.agent.record import Record, grants_of_present_pods
from hooksidecar.agent.uevents import Changes, Uevents
from hooksidecar.deviceplugin.plugins import Plugins
from hooksidecar.deviceplugin.source import Granted, Listed
from hostdev.binding.reconcile import read_declared_settings
from hostdev.binding.state import By, NodeState
from hostdev.binding.statefile import read_states, state_for
from hostdev.binding.vfsettings import UNREAD, Readings
from hostdev.findings.offer import OFFER_NOT_FRESH, OFFER_RECORD_DIFFERS
from hostdev.holders.pods import held_by_others
from hostdev.inject.gather import read_file
from hostdev.inventory.machine import Machine
from hostdev.inventory.places import is_id
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.renewal import renew_picture
from hostdev.inventory.scan import scan
from hostdev.kubelet.checkpoint import Grant
from hostdev.offer.grant import findings_against, make_grant
from hostdev.offer.pool import Basis, Offer, Taken
from hostdev.offer.prefer import prefer_units
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


class Look(NamedTuple):
    """How the host is looked at. Each may take its time, or never return."""

    whole: Callable[[], Machine | None]
    some: Callable[[Collection[PciAddress]], Machine]
    last: Callable[[], Seen]
    """The last look of others at the whole."""
    settings: Callable[[Machine, NodeState], Readings] = lambda _machine, _state: UNREAD
    """At what VFs are set up with, where that is declared."""


class Offering(NamedTuple):
    """The last turn."""

    findings: tuple[Finding, ...] = ()
    units: Mapping[str, int] = MappingProxyType({})
    """By what has become of them."""
    resources: Mapping[str, int] = MappingProxyType({})
    """By how they stand with kubelet."""
    registrations: Mapping[str, int] = MappingProxyType({})
    """By how they ended, since the agent began."""


class Offers:
    """Keeps the offer, and kubelet told of it."""

    def __init__(self, declared: Callable[[Machine], NodeState], look: Look, record: Record, kubelet_dir: str) -> None:
        self._declared = declared
        self._kubelet_dir = kubelet_dir
        self._look = look
        self._record = record
        """One of its own: it is read in a thread of its own."""
        self._plugins = Plugins(kubelet_dir, self)
        self.given = Given()
        self._offer = Offer(Basis(NodeState(), Machine()), ())
        self._units: Mapping[str, int] = {}
        self._differing: tuple[Finding, ...] = ()
        self._looked_at = float("-inf")
        """When the last look of our own at the machine began."""
        self._begun: float | None = None
        """When the turn that is under way began."""
        self._asked: SimpleQueue[Changes | threading.Event | None] = SimpleQueue()

    def start(self) -> None:
        """Take turn after turn, each in the one thread that may hang with the host."""
        self._plugins.start()
        for name, run in (("offers", self._run), ("uevents", self._listen)):
            threading.Thread(target=run, name=name, daemon=True).start()

    def close(self) -> None:
        """Offer nothing any more."""
        self._plugins.close()

    def ask(self) -> None:
        """Take a turn soon: kubelet's record has changed, or the host was looked at."""
        self._asked.put(Changes())

    @property
    def seen(self) -> Offering:
        """How it stands now."""
        found = (*self._offer.findings, *self._differing, *self._plugins.findings(), *self._late())
        return Offering(found, self._units, self._plugins.states(), self._plugins.outcomes())

    # What kubelet is answered with: from memory, and without a lock that a look at the host may hold.

    def listed(self, resource: str) -> Sequence[Listed]:
        """List the units of a resource."""
        pool = self._offer.of(By.PLUGIN).get(resource)
        return [Listed(one.id, one.is_healthy, one.numa_node) for one in pool.units] if pool else ()

    def allocate(self, resource: str, ids: Sequence[str]) -> Granted:
        """Give units away."""
        grant = make_grant(self._offer, resource, ids)
        granted = Granted(grant.variables, grant.nodes)
        self.given.note(resource, ids, granted)
        log.info("given", resource=resource, units=list(ids), devices=list(map(str, grant.addresses)))
        return granted

    def prefer(self, resource: str, available: Sequence[str], must_include: Sequence[str], size: int) -> Sequence[str]:
        """Choose units."""
        pool = self._offer.of(By.PLUGIN).get(resource)
        return prefer_units(pool, available, must_include, size) if pool else tuple(available[:size])

    def check(self, resource: str, ids: Sequence[str]) -> None:
        """Look at units once more, and refuse to start with what cannot be given any more."""
        pool = self._offer.of(By.PLUGIN).get(resource)
        units = [one.unit for id_ in ids if pool and (one := pool.by_id.get(id_)) and one.unit]
        self._renew(frozenset(address for unit in units for address in unit.functions))
        if found := findings_against(self._offer, resource, ids):
            raise found[0].refusal()

    def _renew(self, addresses: frozenset[PciAddress]) -> None:
        """Wait for a look at these, but not for long: what is remembered is rarely old."""
        if addresses:
            done = threading.Event()
            self._asked.put(Changes(addresses))
            self._asked.put(done)
            done.wait(FRESH)

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
            except Exception as error:  # noqa: BLE001  a defect here must not end what else the agent does
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
                elif asked:
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
        """Look at what changed, and tell kubelet where that makes a difference."""
        machine = self._picture(changes)
        if machine is None:
            return
        self._record.look()
        grants = self._record.grants
        if self._record.is_current:
            self.given.keep(grants, self._record.read_at)
            self._differing = tuple(_differs(grant) for grant in self.given.differing(grants))
        state = self._declared(machine)
        held = self._of_ours(state, self.given.held(grants))
        readings = self._look.settings(machine, state)
        basis = Basis(state, machine, held, readings, self._taken(grants, held, machine))
        if basis != self._offer.basis:
            self._offer = refresh_offer(self._offer, basis)
            units = (one for pool in self._offer.of(By.PLUGIN).values() for one in pool.units)
            self._units = Counter(_STATES[one.is_healthy, one.is_held] for one in units)
        self._plugins.update(list(self._offer.of(By.PLUGIN)))

    def _picture(self, changes: Changes) -> Machine | None:
        now, last = time.monotonic(), self._look.last()
        machine = self._offer.machine
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

    def _of_ours(self, state: NodeState, held: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
        """Resources that are offered here, or were: their ids say so."""
        names = {entry.resource for entry in state.offers} | set(self._offer.of(By.PLUGIN))
        return {name: ids for name, ids in held.items() if name in names or all(map(is_id, ids))}

    def _taken(self, grants: Sequence[Grant], held: Collection[str], machine: Machine) -> Taken:
        """What other plugins have given to pods that are there."""
        others = tuple(grant for grant in grants if grant.resource not in held)
        with suppress(PassgateError):
            # Where that cannot be seen, those of ended pods count as well.
            others = grants_of_present_pods(self._kubelet_dir, others)
        return held_by_others(others, (), machine)

    def _late(self) -> Iterator[Finding]:
        begun = self._begun
        if begun is not None and time.monotonic() - begun > STUCK:
            text = f"a look at the host takes {time.monotonic() - begun:.0f} s: what is offered is what was seen before"
            yield OFFER_NOT_FRESH.found("host", text)


def _differs(grant: Grant) -> Finding:
    text = f"pod {grant.pod_uid} was given {listed(grant.device_ids, 3)}, and the record has other variables or nodes"
    return OFFER_RECORD_DIFFERS.found(grant.resource, text)


def _members(machine: Machine, groups: Collection[int]) -> Iterator[PciAddress]:
    for number in groups:
        group = machine.groups.get(number)
        yield from group.members if group else ()


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


def look_at(host: str, whole: Callable[[], Machine | None], last: Callable[[], Seen]) -> Look:
    """Look at a host in each way."""
    return Look(whole, looker_at_some(host), last, _settings_reader(host))


def looker_at_some(host: str) -> Callable[[Collection[PciAddress]], Machine]:
    """A function that looks at some functions and all that decides about them."""

    def look(addresses: Collection[PciAddress]) -> Machine:
        with open_host(host) as opened:
            return scan(opened, only=addresses, use=False)

    return look


def _settings_reader(host: str) -> Callable[[Machine, NodeState], Readings]:
    """A function that reads what VFs are set up with, where a state declares that."""

    def read(machine: Machine, state: NodeState) -> Readings:
        if not any(entry.settings for entry in state.vfs):
            return UNREAD
        with open_host(host) as opened:
            return read_declared_settings(opened, machine, [state])

    return read
