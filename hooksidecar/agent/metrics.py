"""Prometheus metrics of a node: the last sweep as it was, and counts since the agent began."""

from __future__ import annotations

import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from typing import NamedTuple, TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from domxml.finding import Finding
from hooksidecar.agent.pods import Sweep
from hostdev.gate.group import group_verdict
from hostdev.gate.verdict import GroupVerdict
from hostdev.inventory.machine import Machine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_DRIVER = "none"
VIABLE = ("yes", "no", "unknown")
STANDINGS = ("held", "drifted", "waiting", "refused", "unknown")
MADE = ("done", "refused", "undone", "stuck", "pending")
OUTCOMES = ("written", "kept", "removed", "failed")


Counts: TypeAlias = "Counter[tuple[str, ...]]"


class _Picture(NamedTuple):
    """A host in numbers; labels are few, for none names a device or a pod."""

    devices: Counts
    groups: Counts


_NOTHING = _Picture(Counter(), Counter())


class Metrics:
    """Counts, and prints the counts. Nothing of it is global."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._machine: Machine | None = None
        self._picture = _NOTHING
        self._findings: Counts = Counter()
        self._files: Counts = Counter({(outcome,): 0 for outcome in OUTCOMES})
        self._verdicts: Counts = Counter()
        self._standings: Counts | None = None
        self._changes: Counts = Counter()
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
            self._machine, self._picture, self._findings = machine, picture, _by_code(sweep.findings)
            done = (sweep.dropped, sweep.kept, sweep.removed, sweep.failed)
            self._files.update({(outcome,): count for outcome, count in zip(OUTCOMES, done, strict=True)})
            self._seconds[_bucket(sweep.seconds)] += 1
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
            self._standings = Counter({(word,): standings.get(word, 0) for word in STANDINGS})
            self._changes = Counter({(word,): outcomes.get(word, 0) for word in MADE})

    def text(self) -> bytes:
        """All of it, as Prometheus scrapes it."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """The metrics of one moment."""
        with self._lock:
            return tuple(self._collect())

    def _collect(self) -> Iterator[Metric]:
        yield _build()
        yield _gauge("passgate_devices", "PCI functions other than bridges.", ("role", "driver"), self._picture.devices)
        help_ = "IOMMU groups by whether a VM can have them."
        yield _gauge("passgate_iommu_groups", help_, ("viable",), self._picture.groups)
        help_ = "Findings about the host, its devices on vfio drivers, and what kubelet granted."
        yield _gauge("passgate_findings", help_, ("code", "severity"), self._findings)
        help_ = "Allocation files of pods by what a sweep did with them."
        yield _counter("passgate_allocation_files", help_, ("outcome",), self._files)
        help_ = "Answers to KubeVirt's node hooks."
        yield _counter("passgate_hook_verdicts", help_, ("hook", "verdict"), self._verdicts)
        if self._standings is not None:
            help_ = "Entries of the declared node state, by how they stand."
            yield _gauge("passgate_node_state", help_, ("state",), self._standings)
            help_ = "Changes made for the declared node state, by how they ended."
            yield _counter("passgate_node_state_changes", help_, ("outcome",), self._changes)
        yield self._durations()
        if self._succeeded is not None:
            help_ = "When a sweep last saw the host and left no file undone."
            yield GaugeMetricFamily("passgate_sweep_last_success_timestamp_seconds", help_, self._succeeded)

    def _durations(self) -> Metric:
        buckets, below = [], 0
        for limit in (*BUCKETS, float("inf")):
            below += self._seconds[limit]
            buckets.append((str(limit) if limit in BUCKETS else "+Inf", float(below)))
        return HistogramMetricFamily(
            "passgate_sweep_duration_seconds", "How long sweeps took.", buckets=buckets, sum_value=self._total_seconds
        )


def _counted(machine: Machine) -> _Picture:
    functions = [function for function in machine.functions.values() if not function.bridge]
    verdicts = [group_verdict(machine, group) for group in machine.groups.values()]
    return _Picture(
        Counter((str(function.role), function.driver or NO_DRIVER) for function in functions),
        Counter({(word,): sum(_viable(verdict) == word for verdict in verdicts) for word in VIABLE}),
    )


def _viable(verdict: GroupVerdict) -> str:
    return "yes" if verdict.viable else "no" if verdict.blockers or verdict.empty else "unknown"


def _by_code(findings: Iterable[Finding]) -> Counts:
    return Counter((finding.code, str(finding.severity)) for finding in findings)


def _bucket(seconds: float) -> float:
    return next((limit for limit in BUCKETS if seconds <= limit), float("inf"))


def _build() -> Metric:
    try:
        version = metadata.version("passgate")
    except metadata.PackageNotFoundError:
        version = "unknown"
    about = {"version": version, "python_version": platform.python_version()}
    return InfoMetricFamily("passgate_build", "The passgate that runs here.", about)


def _gauge(name: str, help_: str, labels: tuple[str, ...], values: Counts) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=labels)
    for named, value in sorted(values.items()):
        family.add_metric(named, value)
    return family


def _counter(name: str, help_: str, labels: tuple[str, ...], values: Counts) -> Metric:
    family = CounterMetricFamily(name, help_, labels=labels)
    for named, value in sorted(values.items()):
        family.add_metric(named, value)
    return family
