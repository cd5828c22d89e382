"""What takes its time: the host's devices, and kubelet's PodResources API. Looked at aside; no pod waits for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from domxml.errors import PassgateError
from domxml.finding import Finding
from hooksidecar import log
from hooksidecar.nodewatch.look import Picture
from hooksidecar.nodewatch.record import Record, without_directory
from hostdev.findings.holders import CLAIM_OF_GONE_POD, PODRESOURCES_UNREACHABLE
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.gate.check import check
from hostdev.holders.grants import contradictions
from hostdev.holders.pods import granted_twice
from hostdev.inventory.machine import Machine
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.kubelet import podresources
from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.podresources import CONFIRM, Agreement, Confirmation, served_by_claims

EVERY = 30.0


class Seen(NamedTuple):
    """The last look."""

    machine: Machine | None = None
    findings: tuple[Finding, ...] = ()
    begun: float = 0.0
    """When the look at the machine began, of time.monotonic."""

    @property
    def picture(self) -> Picture:
        """What of it is the machine."""
        return Picture(self.machine, self.begun)


class Surroundings:
    """Keeps the last look, and takes the next one in a thread of its own."""

    def __init__(self, look: Callable[[], Machine | None], directory: str, record: Record) -> None:
        self._look = look
        self._directory = directory
        self._record = record
        """One of its own: it is read right after PodResources, and in another thread than the loop's."""
        self._socket = os.path.join(directory, podresources.SOCKET)  # noqa: PTH118
        self._agreement = Agreement()
        self._confirmation = Confirmation()
        self._gone: frozenset[str] = frozenset()
        self._host: tuple[Finding, ...] = ()
        self._again = EVERY
        self._begun = 0.0
        self._asked = threading.Event()
        self.seen = Seen()
        self.host_read_at = self.podresources_read_at = time.monotonic()
        """When each was read whole the last time, or the beginning: a look that hangs tells of nothing else."""

    def look(self) -> Seen:
        """Look now. What may be a matter of a moment is told when it is still so a second later."""
        machine, unread = self._machine()
        listing, unreachable = self._listing()
        self._record.look()
        now, before = time.monotonic(), self._gone
        told = self._confirmation.confirmed((*self._twice(machine), *self._differing(listing, now)), now)
        ours = {(record.namespace, record.name) for record in self._record.records}
        foreign = [one for one in (listing.claims if listing else ()) if (one.namespace, one.claim) not in ours]
        claims = served_by_claims(foreign)
        # Kubelet makes the directory of a pod a moment after it wrote down what the pod was given.
        self._again = CONFIRM if self._confirmation.waits(now) or self._gone - before else EVERY
        self.seen = Seen(machine, (*unread, *self._host, *unreachable, *claims, *told), self._begun)
        return self.seen

    def look_twice(self) -> Seen:
        """Look now, and once more if something may be a matter of a moment."""
        self.look()
        if self._again <= CONFIRM:
            time.sleep(CONFIRM)
            self.look()
        return self.seen

    def start(self, looked: Callable[[], None]) -> None:
        """Look again and again, and say so each time."""

        def run() -> None:
            while True:
                self._asked.clear()
                try:
                    self.look()
                except Exception as error:  # noqa: BLE001  a defect here must not end what else the agent does
                    log.defect(error)
                looked()
                # However often it is asked for: a look takes its time, and kubelet's API allows so many calls.
                time.sleep(CONFIRM)
                self._asked.wait(self._again - CONFIRM)

        threading.Thread(target=run, name="surroundings", daemon=True).start()

    def ask(self) -> None:
        """Look soon: something changed."""
        self._asked.set()

    def _machine(self) -> tuple[Machine | None, tuple[Finding, ...]]:
        """The picture; where nothing changed it is the very same one, and so are its findings."""
        last, begun = self.seen.machine, time.monotonic()
        try:
            machine = self._look()
        except PassgateError as error:
            return last, (_unreadable(error),)
        self._begun = begun
        self.host_read_at = time.monotonic()
        if machine != last:
            self._host = _judged(machine) if machine else ()
            return machine, ()
        return last, ()

    def _listing(self) -> tuple[podresources.Listing | None, tuple[Finding, ...]]:
        try:
            listing = podresources.list_podresources(self._socket)
        except PassgateError as error:
            subject = error.subject or self._socket
            return None, (PODRESOURCES_UNREACHABLE.found(subject, error.message, hint=error.hint),)
        self.podresources_read_at = time.monotonic()
        return listing, ()

    def _twice(self, machine: Machine | None) -> tuple[Finding, ...]:
        grants = self._record.granted
        try:
            self._gone = without_directory(self._directory, grants)
        except PassgateError as error:
            return (_unreadable(error),)
        alive = [grant for grant in grants if grant.pod_uid not in self._gone]
        claims = tuple(_of_gone_pod(grant) for grant in grants if grant.claim and grant.pod_uid in self._gone)
        if machine is None:
            return claims
        differing = (found for one in alive for found in contradictions(one, machine))
        return (*claims, *granted_twice(alive, machine), *differing)

    def _differing(self, listing: podresources.Listing | None, now: float) -> tuple[Finding, ...]:
        if listing is None or not self._record.is_current:
            # What kubelet said once is nothing to hold against what it says now.
            self._agreement.forget()
            return ()
        return self._agreement.disagreements(self._record.grants, listing.devices, now)


def _judged(machine: Machine) -> tuple[Finding, ...]:
    """What the gate says of the host, and of the devices that are meant for VMs."""
    ready = [function.address for function in machine.functions.values() if is_on_vfio(function)]
    return check(machine, ready)


def _of_gone_pod(grant: Grant) -> Finding:
    text = f"{grant.resource} is prepared for pod {grant.pod_uid}, which is gone"
    return CLAIM_OF_GONE_POD.found(f"claim {grant.claim}", text)


def _unreadable(error: PassgateError) -> Finding:
    return HOST_UNREADABLE.found(error.subject, error.message, hint=error.hint)
