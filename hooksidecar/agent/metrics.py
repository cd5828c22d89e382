"""Prometheus metrics of a node: the last sweep as it was, and counts since the agent began."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from hooksidecar.agent.arrivals import Arrived
from hooksidecar.agent.pods import Sweep
from hooksidecar.monitoring import metrics as table
from hooksidecar.nodewatch.exposition import (
    Counts,
    count_by_code,
    count_by_word,
    make_build,
    make_family,
    make_histogram,
)
from hostdev.gate.group import group_verdict
from hostdev.gate.verdict import GroupVerdict
from hostdev.inventory.machine import Machine

NO_DRIVER = "none"
_OFFER = (table.OFFER_UNITS, table.OFFER_RESOURCES, table.OFFER_REGISTRATIONS)


class _Picture(NamedTuple):
    """A host in numbers; labels are few, for none names a device or a pod."""

    devices: Counts
    groups: Counts


_NOTHING = _Picture(Counter(), Counter())


class Metrics:
    """Counts, and prints the counts. Nothing of it is global."""

    def __init__(
        self, clock: Callable[[], float] = time.time, ages: Callable[[], Mapping[str, float]] = dict[str, float]
    ) -> None:
        self._clock = clock
        self._ages = ages
        self._lock = threading.Lock()
        self._machine: Machine | None = None
        self._picture = _NOTHING
        self._findings: Counts = Counter()
        self._pods: Counts | None = None
        self._files = count_by_word({}, table.FILES)
        self._verdicts: Counts = Counter()
        self._standings: Counts | None = None
        self._changes: Counts = Counter()
        self._offer: tuple[Counts, ...] | None = None
        self._vitals: Counts | None = None
        self._arrivals = Arrived()
        self._seconds: Counter[float] = Counter()
        self._total_seconds = 0.0
        self._succeeded: float | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def swept(self, sweep: Sweep) -> None:
        """Count a sweep that ended."""
        # Most sweeps look at pods alone: this machine has been counted already.
        machine, picture = sweep.machine, self._picture
        if machine is not self._machine:
            picture = _counted(machine) if machine else _NOTHING
        with self._lock:
            self._machine, self._picture, self._findings = machine, picture, count_by_code(sweep.findings)
            self._pods = None if sweep.pods is None else count_by_word(sweep.pods, table.PODS)
            done = (sweep.dropped, sweep.kept, sweep.removed, sweep.failed)
            self._files.update(dict(zip(self._files, done, strict=True)))
            self._seconds[table.SWEEPS.bucket(sweep.seconds)] += 1
            self._total_seconds += sweep.seconds
            if sweep.machine is not None and not sweep.failed:
                self._succeeded = self._clock()

    def answered(self, hook: str, verdict: str) -> None:
        """Count an answer of a node hook."""
        with self._lock:
            self._verdicts[hook, verdict] += 1

    def managed(self, standings: Mapping[str, int], outcomes: Mapping[str, int]) -> None:
        """Take over how the declared node state stands, and what was done for it."""
        with self._lock:
            self._standings = count_by_word(standings, table.NODE_STATE)
            self._changes = count_by_word(outcomes, table.CHANGES)

    def offered(self, units: Mapping[str, int], resources: Mapping[str, int], registrations: Mapping[str, int]) -> None:
        """Take over what is offered to kubelet, and how registrations ended since the agent began."""
        with self._lock:
            self._offer = tuple(map(count_by_word, (units, resources, registrations), _OFFER))

    def arrived(self, states: Mapping[str, int], arrived: Arrived) -> None:
        """Take over what became of the devices of VMs, and how long arrivals took since the agent began."""
        with self._lock:
            self._vitals, self._arrivals = count_by_word(states, table.VITALS), arrived

    def text(self) -> bytes:
        """All of it, as Prometheus scrapes it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """The metrics of one moment."""
        with self._lock:
            return tuple(self._collect())

    def _collect(self) -> Iterator[Metric]:
        yield make_build()
        yield make_family(table.DEVICES, self._picture.devices)
        yield make_family(table.GROUPS, self._picture.groups)
        yield make_family(table.FINDINGS, self._findings)
        if ages := self._ages():
            yield make_family(table.SOURCE_AGE, {(source,): age for source, age in ages.items()})
        if self._pods is not None:
            yield make_family(table.PODS, self._pods)
        yield make_family(table.FILES, self._files)
        yield make_family(table.VERDICTS, self._verdicts)
        if self._vitals is not None:
            yield make_family(table.VITALS, self._vitals)
            yield make_histogram(table.ARRIVAL, self._arrivals.buckets, self._arrivals.total)
        if self._standings is not None:
            yield make_family(table.NODE_STATE, self._standings)
            yield make_family(table.CHANGES, self._changes)
        if self._offer is not None:
            yield from map(make_family, _OFFER, self._offer)
        yield make_histogram(table.SWEEPS, self._seconds, self._total_seconds)
        if self._succeeded is not None:
            yield make_family(table.LAST_SUCCESS, {(): self._succeeded})


def _counted(machine: Machine) -> _Picture:
    functions = [function for function in machine.functions.values() if not function.bridge]
    verdicts = [group_verdict(machine, group) for group in machine.groups.values()]
    return _Picture(
        Counter((str(function.role), function.driver or NO_DRIVER) for function in functions),
        count_by_word(Counter(map(_viable, verdicts)), table.GROUPS),
    )


def _viable(verdict: GroupVerdict) -> str:
    return "yes" if verdict.viable else "no" if verdict.blockers or verdict.empty else "unknown"
