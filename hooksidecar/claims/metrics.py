"""Prometheus metrics of the driver: what is published and prepared now, and counts since it began."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from domxml.finding import Finding
from hooksidecar.claims.publisher import Standing
from hooksidecar.claims.source import ClaimRef, Claims, PreparedDevice
from hooksidecar.monitoring import claimmetrics as table
from hooksidecar.nodewatch.exposition import count_by_code, count_by_word, make_family, make_histogram


class State(NamedTuple):
    """How the driver stands."""

    findings: tuple[Finding, ...]
    units: Mapping[str, int]
    """By what has become of them."""
    claims: int
    """That are prepared."""
    published: Standing
    errors: int
    """That publishing met with."""
    is_registered: bool
    host_age: float


class CountedClaims:
    """Counts how calls end, and how long they take."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._lock = threading.Lock()
        self.outcomes: Counter[tuple[str, ...]] = Counter()
        self.seconds: Counter[float] = Counter()
        self.total = 0.0

    def prepare(self, refs: Sequence[ClaimRef], within: float) -> Mapping[str, Sequence[PreparedDevice] | str]:
        """Make the devices of each claim ready."""
        begun = time.monotonic()
        answers = self._claims.prepare(refs, within)
        self._count("prepare", (not isinstance(answer, str) for answer in answers.values()))
        took = time.monotonic() - begun
        with self._lock:
            self.seconds[table.PREPARE_DURATION.bucket(took)] += 1
            self.total += took
        return answers

    def unprepare(self, refs: Sequence[ClaimRef]) -> Mapping[str, str | None]:
        """Give the devices of each claim back."""
        answers = self._claims.unprepare(refs)
        self._count("unprepare", (not answer for answer in answers.values()))
        return answers

    def _count(self, call: str, ended_well: Iterable[bool]) -> None:
        with self._lock:
            self.outcomes.update((call, "done" if well else "refused") for well in ended_well)


class Metrics:
    """Prints the figures of one moment. Nothing of it is global."""

    def __init__(self, state: Callable[[], State], calls: CountedClaims) -> None:
        self._state, self._calls = state, calls
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All of it, as Prometheus scrapes it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """The metrics of one moment."""
        return tuple(self._collect(self._state()))

    def _collect(self, state: State) -> Iterator[Metric]:
        words = product(*(label.values for label in table.CALLS.labels))
        calls = {word: self._calls.outcomes[word] for word in words}
        yield make_family(table.FINDINGS, count_by_code(state.findings))
        yield make_family(table.UNITS, count_by_word(state.units, table.UNITS))
        yield make_family(table.PREPARED, {(): state.claims})
        published = state.published
        behind = 0.0 if published.is_current else time.monotonic() - published.since
        yield make_family(table.SLICES, {(): published.slices})
        yield make_family(table.GENERATION, {(): published.generation})
        yield make_family(table.BEHIND, {(): behind})
        yield make_family(table.REGISTERED, {(): int(state.is_registered)})
        yield make_family(table.HOST_AGE, {(): state.host_age})
        yield make_family(table.CALLS, calls)
        yield make_family(table.API_ERRORS, {(): state.errors})
        yield make_histogram(table.PREPARE_DURATION, self._calls.seconds, self._calls.total)
