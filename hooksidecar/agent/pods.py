"""From kubelet's grants to the file that each pod should have."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from domxml.finding import Finding
from domxml.text import listed, printable
from hooksidecar.agent.drop import MARK
from hooksidecar.agent.visit import Arm, Visit, visit
from hooksidecar.agent.volumes import CONTAINER, DIRECTORY
from hooksidecar.agent.watch import POLL
from hooksidecar.nodewatch.record import Record
from hostdev.allocation.env_file import to_env_file
from hostdev.findings.holders import CHECKPOINT_ENTRY_UNREADABLE, DROP_FAILED
from hostdev.inventory.machine import Machine
from hostdev.kubelet.checkpoint import Grant, Unread
from hostdev.kubelet.directory import PODS
from hostdev.kubelet.environment import environment


class Wanted(NamedTuple):
    """The content of the files by the UID of the pod."""

    files: Mapping[str, bytes] = {}
    hands_off: frozenset[str] = frozenset()
    """Pods of which kubelet's record cannot be read whole: half of an allocation would be a wrong one."""
    partial: frozenset[str] = frozenset()
    """Pods of which a file cannot hold all that they were given."""
    findings: tuple[Finding, ...] = ()


def wanted_files(granted: Iterable[Grant], unread: Iterable[Unread]) -> Wanted:
    """Write down what the VMs' containers were given, as sidecars read it."""
    grants: dict[str, list[Grant]] = defaultdict(list)
    for grant in granted:
        if grant.pod_uid and grant.is_for(CONTAINER):
            grants[grant.pod_uid].append(grant)
    hands_off = frozenset(entry.pod_uid for entry in unread if entry.container == CONTAINER)
    files: dict[str, bytes] = {}
    findings: list[Finding] = []
    partial: set[str] = set()
    for uid in grants.keys() - hands_off:
        told = environment(grants[uid])
        given = [grant for grant in sorted(grants[uid]) if not _is_plain(grant)]
        counts: Counter[str] = Counter()
        for grant in given:
            counts[grant.resource] += len(grant.device_ids)
        if told.variables or counts:
            claims = {grant.resource: (grant.claim, *grant.device_ids) for grant in given if grant.claim}
            files[uid] = _marked(to_env_file(told.variables, told.resources, counts, claims))
        if told.lost:
            partial.add(uid)
            text = f"not in the file: {listed(printable(name) for name in told.lost)}"
            findings.append(CHECKPOINT_ENTRY_UNREADABLE.found(f"pod {uid}", text))
    return Wanted(files, hands_off, frozenset(partial), tuple(sorted(findings)))


def _is_plain(grant: Grant) -> bool:
    """Of every VM, such as /dev/kvm: no sidecar asks for it."""
    return grant.resource.startswith("devices.kubevirt.io/")


def _marked(content: bytes) -> bytes:
    return MARK + (b"\0" if b"\0" in content else b"\n") + content


class Sweep(NamedTuple):
    """The record of one sweep: what it saw and did."""

    grants: tuple[Grant, ...] = ()
    machine: Machine | None = None
    findings: tuple[Finding, ...] = ()
    dropped: int = 0
    """Files that were written."""
    kept: int = 0
    """Files that were as they should be."""
    removed: int = 0
    """Files whose grant is gone."""
    failed: int = 0
    """Files that could not be written or removed; each has a finding."""
    seconds: float = 0.0
    pods: Mapping[str, int] | None = None
    """Pods that should have a file, by what became of it; None where none is written."""


SOON, LATEST = 0.02, 2.0
"""Kubelet makes a pod's volumes after it gave devices to it: seconds from the first look for them to the next, and
between two looks at most; each takes twice as long as the one before."""
AFTER_FAILURE, LATEST_AFTER_FAILURE = 0.5, 30.0
NEVER = float("inf")


@dataclass(slots=True)
class _Pod:
    """A pod that has, or should have, a file."""

    looked: float = -NEVER
    again: float = 0.0
    delay: float = 0.0
    found: bool = False
    """Whether it has a volume for the file."""
    served: bool = False
    """Whether the file is in one."""
    gone: bool = False
    """Kubelet has no directory of it: it has ended, or was admitted a moment ago."""
    findings: tuple[Finding, ...] = ()

    @property
    def file(self) -> str:
        """What became of its file."""
        if self.findings:
            return "failed"
        return "there" if self.served else "awaited" if self.found or self.looked == -NEVER else "no-volume"

    def put_off(self, least: float, most: float) -> None:
        """Look again later, and later each time."""
        self.delay = min(max(least, 2 * self.delay), most)
        self.again = self.looked + self.delay

    def touched(self, now: float) -> None:
        """Something happened: look at once for a volume, and in one that never comes to rest less and less often."""
        if not self.found:
            self.delay, self.again = 0.0, max(now, self.looked + SOON)
        elif self.again == NEVER:
            self.delay = self.delay if now - self.looked < LATEST else 0.0
            self.put_off(SOON, LATEST)


class Node:
    """Makes sweeps: each looks at what there is a reason to look at."""

    def __init__(  # noqa: PLR0913  what a node is looked at with
        self,
        directory: str,
        record: Record,
        arm: Arm,
        *,
        writes: bool = True,
        ended: Callable[[], bool] = bool,
        as_given: Callable[[tuple[Grant, ...]], tuple[Grant, ...]] = tuple,
    ) -> None:
        self._directory = os.path.join(directory, PODS)  # noqa: PTH118
        self.record = record
        self._arm = arm
        self._writes = writes
        self._ended = ended
        self._as_given = as_given
        """What was given by the agent itself is known better than by kubelet's record."""
        self._wanted = Wanted()
        self._pods: dict[str, _Pod] = {}
        self._trouble: tuple[Finding, ...] = ()

    def next(self) -> float:
        """When, of time.monotonic, a pod wants to be looked at."""
        if not self._writes:
            return NEVER
        return min((pod.again for pod in self._pods.values()), default=NEVER)

    def sweep(self, *, look: bool = True, whole: bool = False, touched: Collection[str] = ()) -> Sweep:
        """Visit the pods that changed in the checkpoint (`look`), were touched, or wait; with `whole` all of them."""
        begun = time.monotonic()
        if look and self.record.look():
            self._want(wanted_files(self._as_given(self.record.granted), self.record.unread))
        done = Visit()
        # As long as there was no good checkpoint it is not known whose file is stale.
        is_known = self.record.checkpoint is not None
        # Kubelet has none where only claims were ever given.
        has_claims = bool(self.record.records) and not self.record.trouble
        if self._writes and (is_known or has_claims):
            self._touch(touched, begun)
            done = self._visit_due(whole=whole and is_known)
        pods = (finding for pod in self._pods.values() for finding in pod.findings)
        return Sweep(
            grants=self.record.granted,
            findings=(*self.record.findings, *self._wanted.findings, *self._trouble, *pods),
            dropped=done.dropped,
            kept=done.kept,
            removed=done.removed,
            failed=len(done.findings),
            seconds=time.monotonic() - begun,
            pods=self._files() if self._writes else None,
        )

    def _files(self) -> Mapping[str, int]:
        """What became of the files of pods that are there."""
        wanted = {uid: pod for uid in self._wanted.files if not (pod := self._pods.get(uid, _Pod())).gone}
        words = ("failed" if self._trouble else self._file(uid, pod) for uid, pod in wanted.items())
        return Counter([*words, *("unread" for _ in self._wanted.hands_off)])

    def _file(self, uid: str, pod: _Pod) -> str:
        return "partial" if pod.file == "there" and uid in self._wanted.partial else pod.file

    def _want(self, new: Wanted) -> None:
        for uid in {*new.files, *self._wanted.files}:
            if new.files.get(uid) != self._wanted.files.get(uid):
                self._pods[uid] = _Pod()
        for uid in new.hands_off:
            self._pods.pop(uid, None)
        self._wanted = new

    def _touch(self, touched: Iterable[str], now: float) -> None:
        for uid in touched:
            pod = self._pods.get(uid)
            if pod is not None:
                pod.touched(now)

    def _visit_due(self, *, whole: bool) -> Visit:
        now = time.monotonic()
        due = {uid for uid, pod in self._pods.items() if pod.again <= now}
        if not (due or whole):
            return Visit()
        try:
            pods = os.open(self._directory, DIRECTORY & ~os.O_NOFOLLOW)
            try:
                if whole:
                    due |= {*os.listdir(pods), *self._wanted.files}  # noqa: PTH208  pathlib lists no descriptors
                self._trouble = ()
                return self._visit_each(pods, due - self._wanted.hands_off)
            finally:
                os.close(pods)
        except OSError as error:
            self._trouble = (DROP_FAILED.found(self._directory, f"cannot be looked into: {error.strerror}"),)
            for uid in due:
                self._pods.setdefault(uid, _Pod()).again = now + AFTER_FAILURE
            return Visit()

    def _visit_each(self, pods: int, due: Iterable[str]) -> Visit:
        total = Visit()
        for uid in due:
            if self._ended():
                break
            content = self._wanted.files.get(uid, b"")
            done = visit(pods, uid, content, self._arm)
            total = Visit(
                total.dropped + done.dropped,
                total.kept + done.kept,
                total.removed + done.removed,
                total.findings + done.findings,
            )
            gone = bool(content) and not done.found and not _has_directory(pods, uid)
            self._note(uid, done, wanted=bool(content), gone=gone)
        return total

    def _note(self, uid: str, done: Visit, *, wanted: bool, gone: bool) -> None:
        pod = self._pods.setdefault(uid, _Pod())
        if (pod.found, bool(pod.findings)) != (done.found, bool(done.findings)):
            pod.delay = 0.0
        pod.looked, pod.found, pod.findings = time.monotonic(), done.found, done.findings
        pod.served, pod.gone = bool(done.dropped + done.kept), gone
        if done.findings:
            pod.put_off(AFTER_FAILURE, LATEST_AFTER_FAILURE)
        elif not wanted:
            del self._pods[uid]
        elif not done.found:
            pod.put_off(SOON, LATEST)
        else:
            pod.again = NEVER if done.watched else pod.looked + POLL


def _has_directory(pods: int, uid: str) -> bool:
    try:
        os.stat(uid, dir_fd=pods)
    except OSError:
        return False
    return True
