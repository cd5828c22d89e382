"""What pods were given: kubelet's checkpoint, and the records of resource claims. What was read well stays valid."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from domxml.errors import BadInput, HostUnreadable
from domxml.finding import Finding, Severity
from hostdev.findings.holders import CHECKPOINT_ENTRY_UNREADABLE, CHECKPOINT_UNREADABLE, RECORD_OF_EARLIER_BOOT
from hostdev.kubelet.checkpoint import FILE, Checkpoint, Grant, Unread, is_another_boot, parse
from hostdev.kubelet.claimgrants import claim_grants
from hostdev.kubelet.claimrecords import SUFFIX, ClaimRecord, read_records, records_directory
from hostdev.kubelet.directory import PODS, list_pods, read_checkpoint
from hostdev.kubelet.resourcename import DRIVER
from hostdev.offer.pool import Held

SOCKET = "kubelet.sock"
"""Where device plugins register: beside the file, from kubelet's first start on."""


class Record:
    """The files, as often as they are looked at."""

    def __init__(self, directory: str, boot_id: str, driver: str = DRIVER) -> None:
        self._directory, self._driver = directory, driver
        self._path = os.path.join(directory, FILE)  # noqa: PTH118
        self._boot_id = boot_id
        self._data: bytes | None = None
        self.checkpoint: Checkpoint | None = None
        """The last good content; None before the first."""
        self.trouble: tuple[Finding, ...] = ()
        """Why the file as it is now is of no use."""
        self.read_at = time.monotonic()
        """When there was nothing wrong with it the last time, or the beginning."""
        self.records: tuple[ClaimRecord, ...] = ()
        """What was prepared of resource claims."""
        self._unread_records: tuple[Finding, ...] = ()
        self.granted: tuple[Grant, ...] = ()
        """The grants of kubelet and those of resource claims."""

    def look(self) -> bool:
        """Read the files; whether there is new good content. What did not change is not parsed again."""
        changed = any((self._look(), self._look_at_claims()))
        if changed:
            self.granted = (*self.grants, *claim_grants(self.records, self._boot_id))
        if not self.trouble:
            self.read_at = time.monotonic()
        return changed

    def _look(self) -> bool:
        try:
            data = read_checkpoint(self._directory)
        except OSError as error:
            self._data = None
            self.trouble = () if self._is_not_written_yet(error) else (_unreadable(self._path, error),)
            return False
        if data == self._data:
            return False
        self._data = data
        try:
            checkpoint = parse(data)
        except BadInput as error:
            self.trouble = (CHECKPOINT_UNREADABLE.found(self._path, f"is not what kubelet writes: {error.what}"),)
            return False
        self.trouble = ()
        changed, self.checkpoint = checkpoint != self.checkpoint, checkpoint
        return changed

    def _look_at_claims(self) -> bool:
        read = read_records(self._directory, self._driver)
        unread = {finding.subject for finding in read.findings}
        directory = records_directory(self._directory, self._driver)
        # What cannot be read now is as it was.
        known = [one for one in self.records if unread & {directory, f"{directory}/{one.uid}{SUFFIX}"}]
        records = tuple({one.uid: one for one in (*known, *read.records)}.values())
        changed, self.records, self._unread_records = records != self.records, records, read.findings
        return changed

    @property
    def grants(self) -> tuple[Grant, ...]:
        """The grants of kubelet's device manager that hold now: none that another boot has made."""
        return self.checkpoint.grants if self.checkpoint and not self.is_stale else ()

    @property
    def plugins_ids(self) -> Held:
        """What device plugins gave, by resource."""
        return _by_resource((grant.resource, grant.device_ids) for grant in self.grants)

    @property
    def claims_ids(self) -> Held:
        """The units that claims hold, by resource; also those of an earlier boot, as their pods come back."""
        return _by_resource((unit.resource, (unit.unit,)) for record in self.records for unit in record.units)

    @property
    def unread(self) -> tuple[Unread, ...]:
        """The entries that cannot be decoded."""
        return self.checkpoint.unread if self.checkpoint and not self.is_stale else ()

    @property
    def is_current(self) -> bool:
        """Whether it is what kubelet goes by now."""
        return self.checkpoint is not None and not self.trouble and not self.is_stale

    @property
    def is_stale(self) -> bool:
        """It was written in another boot than this."""
        return self.checkpoint is not None and is_another_boot(self.checkpoint.boot_id, self._boot_id)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings about the file and its entries."""
        found = [*self.trouble, *self._unread_records]
        if self.checkpoint and self.is_stale:
            text = f"was written in boot {self.checkpoint.boot_id[:36]}, this is {self._boot_id}"
            found.append(RECORD_OF_EARLIER_BOOT.found(self._path, text))
        for entry in self.unread:
            text = f"the plugin's answer for {entry.resource!r} in {entry.container!r} cannot be decoded"
            found.append(CHECKPOINT_ENTRY_UNREADABLE.found(f"pod {entry.pod_uid}", text))
        return tuple(found)

    def _is_not_written_yet(self, error: OSError) -> bool:
        """Kubelet writes it when the first device plugin registers: many nodes never have one."""
        beside = os.path.join(os.path.dirname(self._path), SOCKET)  # noqa: PTH118, PTH120
        return isinstance(error, FileNotFoundError) and self.checkpoint is None and os.path.exists(beside)  # noqa: PTH110


def _by_resource(pairs: Iterable[tuple[str, Iterable[str]]]) -> Held:
    found: dict[str, set[str]] = {}
    for resource, ids in pairs:
        found.setdefault(resource, set()).update(ids)
    return {resource: frozenset(ids) for resource, ids in found.items()}


def _unreadable(path: str, error: OSError) -> Finding:
    severity = Severity.WARNING if isinstance(error, FileNotFoundError) else None
    return CHECKPOINT_UNREADABLE.found(path, f"cannot be read: {error.strerror}", severity=severity)


def grants_of_present_pods(directory: str, grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Those of pods that kubelet has a directory of; all, where we are not shown these directories."""
    told = tuple(grants)
    gone = without_directory(directory, told)
    return tuple(grant for grant in told if grant.pod_uid not in gone)


def without_directory(directory: str, grants: Iterable[Grant]) -> frozenset[str]:
    """The UIDs of pods that are gone, or that kubelet has admitted a moment ago."""
    try:
        there = list_pods(directory)
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        what = f"cannot be listed: {error.strerror}"
        path = os.path.join(directory, PODS)  # noqa: PTH118
        raise HostUnreadable(
            "kubelet-dir-unreadable", what, subject=path, hint="kubelet's directory must be readable"
        ) from None
    return frozenset(grant.pod_uid for grant in grants if grant.pod_uid) - there


def current_grants(directory: str, record: Record) -> tuple[Grant, ...]:
    """The same from the file as it is now; refuses to answer from an old or broken one."""
    record.look()
    for finding in record.trouble:
        raise HostUnreadable(finding.code, finding.message, subject=finding.subject, hint=finding.hint)
    return grants_of_present_pods(directory, record.granted)
