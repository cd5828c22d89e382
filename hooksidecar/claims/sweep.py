"""What earlier processes left of claims: made whole where a pod may need it, taken away where none can be using it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from domxml.errors import PassgateError
from domxml.finding import Finding
from hooksidecar import log
from hooksidecar.claims.apierrors import ASKING_FAILED, ApiRefused, ApiUnreachable
from hooksidecar.claims.prepare import CLAIMS, PATIENCE, Api, Preparer
from hooksidecar.claims.source import ClaimRef
from hooksidecar.claims.store import ClaimStore
from hostdev.claims.claim import is_allocated
from hostdev.claims.metadata import claim_directory
from hostdev.findings.claims import CLAIM_LEFT_BEHIND, CLAIM_RECORD_UNREADABLE
from hostdev.kubelet.checkpoint import is_another_boot
from hostdev.kubelet.claimrecords import ClaimRecord, NewerRecord
from hostdev.kubelet.drastate import FILE, HeldClaim, read_claims

NOT_FOUND = 404
ADOPTING = 20.0
"""Seconds for a claim whose record is lost."""


class Sweep:
    """Looks at all that is kept on the node.

    A claim that kubelet holds is in use, whatever the API server says of it: pods are deleted by force. One that it
    does not hold is dead when the node was booted since, or when the API server has it no longer, or not allocated.
    What cannot be found out keeps everything as it is.
    """

    def __init__(self, api: Api, store: ClaimStore, preparer: Preparer, kubelet_dir: str, boot_id: str) -> None:
        self._api, self._store, self._preparer = api, store, preparer
        self._kubelet_dir, self._boot_id = kubelet_dir, boot_id
        self._away: ApiUnreachable | None = None
        """That the API server did not answer: in one run it is not waited for again with each claim."""

    def run(self) -> tuple[Finding, ...]:
        """Look once, while calls are served; where something is found it is to be done again later."""
        self._away = None
        try:
            held = self._held()
        except (PassgateError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            path = f"{self._kubelet_dir}/{FILE}"
            finding = CLAIM_LEFT_BEHIND.found(path, f"kubelet's record of claims cannot be read: {why}")
            return (*self._mend(), finding)
        found = [*self._mend(), *self._adopt(held)]
        uids = {one.uid for one in held}
        for record in self._store.read_all().records:
            if record.uid not in uids:
                found += self._judge(record)
        found += self._remove_leftovers()
        return tuple(found)

    def _held(self) -> tuple[HeldClaim, ...]:
        return read_claims(self._kubelet_dir)

    def _is_held(self, record: ClaimRecord) -> bool:
        """Whether kubelet holds it now; it writes a claim down before it asks for it."""
        try:
            return any(one.uid == record.uid for one in self._held())
        except (PassgateError, OSError):
            return True

    def _mend(self) -> Iterator[Finding]:
        """Make files again that are missing: a container that restarts needs them, and kubelet does not ask again."""
        for record in self._store.read_all().records:
            if not is_another_boot(record.boot_id, self._boot_id):
                try:
                    self._preparer.mend(record)
                except PassgateError as error:
                    yield CLAIM_LEFT_BEHIND.found(_name(record), f"its files cannot be made whole: {error}")

    def _adopt(self, held: Iterable[HeldClaim]) -> Iterator[Finding]:
        """Prepare anew what kubelet holds and no record tells of: its devices would count as free."""
        for claim in held:
            with suppress(NewerRecord):
                if self._store.driver in claim.drivers and self._store.find(claim.uid) is None:
                    ref = ClaimRef(claim.namespace, claim.uid, claim.name)
                    answer = self._preparer.prepare([ref], ADOPTING)[claim.uid]
                    if isinstance(answer, str):
                        what = f"kubelet holds it, and what was prepared of it is lost: {answer}"
                        yield CLAIM_RECORD_UNREADABLE.found(f"claim {claim.namespace}/{claim.name}", what)
                        if answer.startswith(ASKING_FAILED):
                            return

    def _judge(self, record: ClaimRecord) -> Iterator[Finding]:
        try:
            dead = is_another_boot(record.boot_id, self._boot_id) or self._is_gone(record)
            ref = ClaimRef(record.namespace, record.uid, record.name)
            if dead and self._preparer.discard(ref, lambda: not self._is_held(record)):
                log.info("swept", claim=_name(record), uid=record.uid)
        except PassgateError as error:
            yield CLAIM_LEFT_BEHIND.found(_name(record), f"whether it is in use is not known: {error}")

    def _is_gone(self, record: ClaimRecord) -> bool:
        if self._away:
            raise self._away
        try:
            path = CLAIMS.format(namespace=record.namespace, name=record.name)
            claim = self._api.get(path, within=PATIENCE)
        except ApiUnreachable as error:
            self._away = error
            raise
        except ApiRefused as error:
            if error.status == NOT_FOUND:
                return True
            raise
        metadata = claim.get("metadata")
        if not isinstance(metadata, dict) or not metadata.get("uid"):
            return False
        return metadata["uid"] != record.uid or not is_allocated(claim, record.driver)

    def _remove_leftovers(self) -> Iterator[Finding]:
        """What has no record is none of a claim that is prepared: the record comes first and goes last."""
        left = self._store.find_leftovers()
        try:
            held = self._held()
            for uid in left.uids - {one.uid for one in held}:
                self._store.remove_leftover(uid=uid)
                log.info("swept", uid=uid)
            for directory in left.directories - {claim_directory(one.namespace, one.name) for one in held}:
                self._store.remove_leftover(directory=directory)
                log.info("swept", directory=directory)
        except (PassgateError, OSError) as error:
            yield CLAIM_LEFT_BEHIND.found("claims", f"files without a record are left: {error}")


def _name(record: ClaimRecord) -> str:
    return f"claim {record.namespace}/{record.name}"
