"""Rows of the table of metrics as Prometheus' client writes them."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import metadata as packages
from typing import TypeAlias

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from domxml.finding import Finding
from hooksidecar.monitoring import metrics as table
from hooksidecar.monitoring.metrics import Kind

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Counts: TypeAlias = "Counter[tuple[str, ...]]"


def make_family(row: table.Metric, values: Mapping[tuple[str, ...], float]) -> Metric:
    """A metric with a sample for each value of its labels."""
    made = CounterMetricFamily if row.kind is Kind.COUNTER else GaugeMetricFamily
    family = made(row.name, row.help, labels=row.label_names)
    for words, value in sorted(values.items()):
        family.add_metric(words, value)
    return family


def make_histogram(row: table.Metric, counts: Mapping[float, int], total: float) -> Metric:
    """A histogram from how many are in each bucket, and their sum."""
    buckets, below = [], 0
    for limit in (*row.buckets, float("inf")):
        below += counts.get(limit, 0)
        buckets.append((str(limit) if limit in row.buckets else "+Inf", float(below)))
    return HistogramMetricFamily(row.name, row.help, buckets=buckets, sum_value=total)


def make_build() -> Metric:
    """What runs here."""
    try:
        version = packages.version("passgate")
    except packages.PackageNotFoundError:
        version = "unknown"
    words = {"version": version, "python_version": platform.python_version()}
    return InfoMetricFamily(table.BUILD.name, table.BUILD.help, words)


def count_by_word(counts: Mapping[str, int], row: table.Metric) -> Counts:
    """Counts by the one label of a metric: each value that it may have is there, if only as 0."""
    return Counter({(word,): counts.get(word, 0) for word in row.labels[0].values})


def count_by_code(findings: Iterable[Finding]) -> Counts:
    """Findings by code and severity."""
    return Counter((finding.code, str(finding.severity)) for finding in findings)
