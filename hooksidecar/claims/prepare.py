"""Kubelet's two calls about claims: their devices are made ready, and given back."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from domxml.errors import BadInput, PassgateError
from hooksidecar import log
from hooksidecar.claims.apierrors import ApiRefused, ApiUnreachable
from hooksidecar.claims.source import ClaimRef, PreparedDevice
from hooksidecar.claims.store import ClaimStore
from hostdev.claims.cdi import device_id
from hostdev.claims.claim import AllocatedClaim, read_claim
from hostdev.claims.metadata import base_request
from hostdev.claims.readiness import check_exclusive, prepare_units, renew_units
from hostdev.findings.claims import CLAIM_NOT_ALLOCATED, CLAIM_UNIT_UNAVAILABLE
from hostdev.kubelet.checkpoint import is_another_boot
from hostdev.kubelet.claimrecords import ClaimRecord, is_name, is_uid
from hostdev.offer.pool import Offer

CLAIMS = "/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims/{name}"
PATIENCE = 10.0
"""Seconds for the API server, a second try included: kubelet gives 45, and asks again after 60 to 90."""
UNDOING = 20.0
"""Seconds that a claim is waited for when it is to be given back: kubelet gives 45, and asks again at once."""
RESERVE = 2.0
"""Seconds of kubelet's deadline that are left for the files."""
_AGAIN = 0.5
_NOT_SEEN = "the node has not been looked at yet since the driver began"


class Api(Protocol):
    """What is asked of the API server."""

    def get(self, path: str, *, within: float | None = None) -> dict[str, Any]: ...


class Preparer:
    """Answers from memory, from the files, and where a claim is new from the API server; never looks at the host."""

    def __init__(  # noqa: PLR0913
        self, api: Api, store: ClaimStore, offer: Callable[[], Offer], *, node: str, driver: str, boot_id: str
    ) -> None:
        self._api, self._store, self._offer = api, store, offer
        self._node, self._driver, self._boot_id = node, driver, boot_id
        self._reserving = threading.Lock()
        """While units are proved to be free, and written down as held."""
        self._locks = ClaimLocks()
        self.on_change: Callable[[], None] = lambda: None
        """Called when a claim holds devices, or none any more; from any thread."""

    def prepare(self, refs: Sequence[ClaimRef], within: float) -> Mapping[str, Sequence[PreparedDevice] | str]:
        """Make the devices of each claim ready."""
        until = time.monotonic() + within - RESERVE
        return {ref.uid: self._answer(ref, until) for ref in refs}

    def _answer(self, ref: ClaimRef, until: float) -> Sequence[PreparedDevice] | str:
        try:
            check_ref(ref)
            with self._locks.hold(ref, until):
                record = self._prepare(ref, until)
        except PassgateError as error:
            log.warning("claim not prepared", claim=ref.full_name, uid=ref.uid, reason=error.sentence())
            return error.sentence()
        return [
            PreparedDevice(tuple(map(base_request, one.requests)), one.pool, one.device, (device_id(record, one),))
            for one in record.units
        ]

    def _prepare(self, ref: ClaimRef, until: float) -> ClaimRecord:
        before = self._store.find(ref.uid)
        if before is None or (before.namespace, before.name) != (ref.namespace, ref.name):
            record = self._reserve(self._read_claim(ref, until))
        else:
            record = self._renew(before)
        self._store.provide(record)
        if record != before:
            devices = [str(address) for unit in record.units for address in unit.functions]
            log.info("claim prepared", claim=ref.full_name, uid=ref.uid, devices=devices)
            self.on_change()
        return record

    def _read_claim(self, ref: ClaimRef, until: float) -> AllocatedClaim:
        path = CLAIMS.format(namespace=ref.namespace, name=ref.name)
        claim = read_claim(self._get(path, until), self._driver)
        if claim.uid != ref.uid:
            what = f"it was deleted and made again: it has UID {claim.uid}, and its pod was given UID {ref.uid}"
            raise CLAIM_NOT_ALLOCATED.refused(claim.subject, what)
        return claim

    def _get(self, path: str, until: float) -> dict[str, Any]:
        """Ask the API server, and once more where no answer came, or one that says to come again."""
        end = min(until, time.monotonic() + PATIENCE)
        try:
            return self._api.get(path, within=max((end - time.monotonic()) / 2, 0.1))
        except (ApiUnreachable, ApiRefused) as error:
            if isinstance(error, ApiRefused) and error.status not in {429, 500, 503, 504}:
                raise
        time.sleep(min(_AGAIN, max(end - time.monotonic(), 0)))
        return self._api.get(path, within=max(end - time.monotonic(), 0.1))

    def _reserve(self, claim: AllocatedClaim) -> ClaimRecord:
        offer = self._offer()
        if not offer.machine.functions:
            raise CLAIM_UNIT_UNAVAILABLE.refused(claim.subject, _NOT_SEEN, "kubelet asks again by itself")
        units = prepare_units(offer, claim, self._node)
        with self._reserving:
            check_exclusive(units, claim, self._boot_id, self._store.read_all())
            record = ClaimRecord(
                claim.uid,
                claim.namespace,
                claim.name,
                claim.pod_claim,
                self._driver,
                claim.pods,
                self._boot_id,
                units,
            )
            self._store.keep(record)
        return record

    def _renew(self, record: ClaimRecord) -> ClaimRecord:
        """What was prepared already: as it was, but for what a reboot or a replugged device has changed."""
        offer = self._offer()
        units = renew_units(offer, record) if offer.machine.functions else None
        if units is None and is_another_boot(record.boot_id, self._boot_id):
            why = _NOT_SEEN if not offer.machine.functions else "a device that it held before the reboot is not offered"
            subject = f"claim {record.namespace}/{record.name}"
            raise CLAIM_UNIT_UNAVAILABLE.refused(subject, why, "kubelet asks again by itself")
        if units is None or (units == record.units and record.boot_id == self._boot_id):
            return record
        generation = record.generation + (units != record.units)
        renewed = record._replace(units=units, boot_id=self._boot_id, generation=generation)
        self._store.keep(renewed)
        return renewed

    def unprepare(self, refs: Sequence[ClaimRef]) -> Mapping[str, str | None]:
        """Give the devices of each claim back; one that is not known here has none, and nothing is left of it."""
        return {ref.uid: self._undo(ref) for ref in refs}

    def _undo(self, ref: ClaimRef) -> str | None:
        try:
            check_ref(ref)
            with self._locks.hold(ref, time.monotonic() + UNDOING):
                record = self._store.find(ref.uid)
                self._store.remove(ref.uid, ref.namespace, ref.name)
        except PassgateError as error:
            log.warning("claim not undone", claim=ref.full_name, uid=ref.uid, reason=error.sentence())
            return error.sentence()
        if record is not None:
            log.info("claim undone", claim=ref.full_name, uid=ref.uid)
            self.on_change()
        return None

    def mend(self, record: ClaimRecord) -> None:
        """Have the files of a claim that was prepared, unless it was given back meanwhile."""
        ref = ClaimRef(record.namespace, record.uid, record.name)
        with self._locks.hold(ref, time.monotonic() + PATIENCE):
            if self._store.find(record.uid) == record:
                self._store.provide(record)

    def discard(self, ref: ClaimRef, is_dead: Callable[[], bool]) -> bool:
        """Take away what is kept of a claim that is still dead when no call for it is under way."""
        with self._locks.hold(ref, time.monotonic() + PATIENCE):
            if not is_dead():
                return False
            self._store.remove(ref.uid, ref.namespace, ref.name)
        self.on_change()
        return True


class ClaimLocks:
    """One thread at a time for the claims of one name: kubelet may ask for the same twice at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._waiting: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def hold(self, ref: ClaimRef, until: float) -> Iterator[None]:
        """Wait for the others, but not longer than kubelet does."""
        key = (ref.namespace, ref.name)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
            self._waiting[key] += 1
        try:
            if not lock.acquire(timeout=max(until - time.monotonic(), 0)):
                what = "another call for it has not come back: a disk of the node may hang"
                raise CLAIM_UNIT_UNAVAILABLE.refused(f"claim {ref.full_name}", what, "see `dmesg`")
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._lock:
                self._waiting[key] -= 1
                if not self._waiting[key]:
                    del self._waiting[key], self._locks[key]


def check_ref(ref: ClaimRef) -> None:
    """Refuse what cannot be a claim: it becomes part of paths."""
    if not (is_uid(ref.uid) and is_name(ref.namespace) and is_name(ref.name)):
        raise BadInput("bad-message", "the request names no claim", subject=f"claim {ref.full_name}"[:200])
