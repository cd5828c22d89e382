"""When claims are prepared and undone: before the first container of a sandbox, and before a pod is gone."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from tests.kubelet.dra import ClaimManager, Unprepared
from tests.kubelet.pods import Event, Pod, State
from tests.kubelet.surprises import Surprise
from tests.kubelet.times import Times
from tests.kubelet.wire import Wire

CREATING = State("waiting", "ContainerCreating")


class Sandboxes:
    """Tries until it works; a kubelet that is stopped goes on after its start."""

    def __init__(
        self,
        claims: ClaimManager,
        wire: Wire,
        ended: threading.Event,
        *,
        times: Times,
        surprises: frozenset[Surprise],
    ) -> None:
        self._claims, self._wire, self._ended, self._times = claims, wire, ended, times
        late = Surprise.PREPARE_RETRY_IS_LATE in surprises
        self._retry = times.prepare_retry if late else times.retry

    def make(self, pod: Pod) -> bool:
        """Whether the pod has one: its claims are prepared."""
        while not pod.has_sandbox:
            if self._ended.is_set() or pod.ended or pod.terminating:
                return False
            try:
                self._claims.prepare(pod)
            except Unprepared as error:
                for container in pod.containers:
                    container.state = CREATING
                told = f"Failed to prepare dynamic resources: {error}"
                pod.events.append(Event("Warning", "FailedPrepareDynamicResources", told))
                self._wire.ring()
                self._ended.wait(self._retry)
            else:
                pod.has_sandbox = True
        return True

    def end(self, pod: Pod, gone: Callable[[], None]) -> None:
        """Undo, and only then let it go."""
        *first, last = self._times.undo_retries
        for wait in itertools.chain(first, itertools.repeat(last)):
            try:
                self._claims.unprepare(pod.uid)
            except Unprepared:
                if self._ended.wait(wait):
                    return
            else:
                gone()
                self._wire.ring()
                return

    def reconcile(self) -> None:
        """Undo for pods that were removed by force, every now and then."""
        while not self._ended.wait(self._times.reconcile):
            self._claims.reconcile()
