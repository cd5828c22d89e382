"""What was given to kubelet for a pod: known before kubelet writes it down, and kept as it was given."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from typing import NamedTuple

from hooksidecar.deviceplugin.source import Granted
from hostdev.kubelet.checkpoint import Grant
from hostdev.offer.pool import Held

UNRECORDED = 60.0
"""Seconds within which kubelet writes down what it was given. It takes milliseconds, and does not for a failed pod."""


class _Answer(NamedTuple):
    """One answer to Allocate, which does not say for which pod it was asked."""

    granted: Granted
    at: float


_Key = tuple[str, frozenset[str]]
"""A resource, and the ids. No two pods hold the same, so that kubelet's record tells whose it is."""


class Given:
    """Remembers; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[_Key, _Answer] = {}

    def note(self, resource: str, ids: Collection[str], granted: Granted) -> None:
        """Remember an answer; what was answered before with any of the ids is over."""
        wanted = frozenset(ids)
        with self._lock:
            for key in [key for key in self._answers if key[0] == resource and key[1] & wanted]:
                del self._answers[key]
            self._answers[resource, wanted] = _Answer(granted, time.monotonic())

    def keep(self, grants: Iterable[Grant], read_at: float) -> None:
        """Forget what kubelet's record does not hold, though it was read long after."""
        recorded = {_key(grant) for grant in grants}
        with self._lock:
            for key, answer in list(self._answers.items()):
                if key not in recorded and read_at - answer.at > UNRECORDED:
                    del self._answers[key]

    def held(self, recorded: Held) -> Held:
        """The ids that pods hold, by resource: those of kubelet's record, and those that are not in it yet."""
        found = dict(recorded)
        with self._lock:
            for resource, ids in self._answers:
                found[resource] = found.get(resource, frozenset()) | ids
        return found

    def as_given(self, grants: Iterable[Grant]) -> tuple[Grant, ...]:
        """Kubelet's grants, with the variables and nodes that were answered for them where that is remembered."""
        return tuple(self._as_given(grant) for grant in grants)

    def differing(self, grants: Iterable[Grant]) -> tuple[Grant, ...]:
        """Grants of which kubelet's record says something else than was answered."""
        return tuple(grant for grant in grants if self._as_given(grant) != grant)

    def _as_given(self, grant: Grant) -> Grant:
        with self._lock:
            answer = self._answers.get(_key(grant))
        if answer is None:
            return grant
        variables = tuple(sorted(answer.granted.variables.items()))
        return grant._replace(environment=variables, nodes=answer.granted.nodes)


def _key(grant: Grant) -> _Key:
    return grant.resource, frozenset(grant.device_ids)
