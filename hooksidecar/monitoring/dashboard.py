"""The dashboard for Grafana: the fleet, the nodes that are chosen, and their VMs; panels follow from the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from hooksidecar.monitoring.claimmetrics import CLAIM_METRICS
from hooksidecar.monitoring.metrics import BUILD, FINDINGS, METRICS, Kind, Metric

HOUR = "1h"
QUANTILES = (0.5, 0.95)
WIDTH, COLUMNS, HEIGHT = 8, 3, 8
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = "$node"


class Panel(NamedTuple):
    """A panel, before it has a place."""

    kind: str
    title: str
    queries: tuple[tuple[str, str], ...]
    """Each with what its lines are called."""
    unit: str = "none"


def dashboard() -> dict[str, Any]:
    """All of it, as Grafana imports it."""
    return {
        "title": "Passgate",
        "uid": "passgate",
        "tags": ["passgate", "kubevirt"],
        "schemaVersion": 38,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": list(_placed()),
    }


def sections() -> dict[str, list[Panel]]:
    """The panels by the title of their row."""
    of_node = [metric for metric in METRICS if not metric.of_vms]
    return {
        "Fleet": [_worst(), *(_now(metric) for metric in of_node if metric.kind in {Kind.GAUGE, Kind.INFO})],
        f"Node {CHOSEN}": [_over_time(metric) for metric in of_node],
        f"VMs on {CHOSEN}": [_over_time(metric) for metric in METRICS if metric.of_vms],
        f"Claims on {CHOSEN}": [_over_time(metric) for metric in CLAIM_METRICS],
    }


def _worst() -> Panel:
    labels = ("node", *FINDINGS.label_names)
    query = f"sum by ({', '.join(labels)}) ({FINDINGS.select(severity='warning|error')}) > 0"
    return Panel("table", "Nodes with findings", ((query, ""),))


def _now(metric: Metric) -> Panel:
    return Panel("bargauge", metric.title, tuple(_queries(metric)), metric.unit)


def _over_time(metric: Metric) -> Panel:
    return Panel("timeseries", metric.title, tuple(_queries(metric, node=CHOSEN)), metric.unit)


def _queries(metric: Metric, **patterns: str) -> Iterator[tuple[str, str]]:
    """What is asked, and what its lines are called."""
    labels = ", ".join(metric.label_names)
    if metric.kind is Kind.HISTOGRAM:
        buckets = metric.select("_bucket", **patterns)
        for quantile in QUANTILES:
            rate = f"sum by (le) (rate({buckets}[{HOUR}]))"
            yield f"histogram_quantile({quantile}, {rate})", f"{quantile:.0%} within"
    elif metric.query:
        yield metric.query.replace("SERIES", metric.select(**patterns)), _legend(metric)
    elif metric.kind is Kind.COUNTER:
        yield f"sum by ({labels}) (increase({metric.select(**patterns)}[{HOUR}]))", f"{_legend(metric)} in an hour"
    else:
        yield f"sum by ({labels}) ({metric.select(**patterns)})", _legend(metric)


def _legend(metric: Metric) -> str:
    kept = [name for name in metric.label_names if not metric.query or f"({name})" in metric.query]
    return " ".join(f"{{{{{name}}}}}" for name in kept) or metric.title


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    yield {
        "name": "node",
        "label": "Node",
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values({BUILD.family}, node)",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _placed() -> Iterator[dict[str, Any]]:
    top, number = 0, 0
    for title, panels in sections().items():
        number += 1
        place = {"x": 0, "y": top, "w": WIDTH * COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        top += 1
        for index, panel in enumerate(panels):
            number += 1
            row, column = divmod(index, COLUMNS)
            yield _panel(panel, number, {"x": WIDTH * column, "y": top + HEIGHT * row, "w": WIDTH, "h": HEIGHT})
        top += HEIGHT * -(-len(panels) // COLUMNS)


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    is_now = panel.kind != "timeseries"
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend,
            "instant": is_now,
            "range": not is_now,
            "format": "table" if panel.kind == "table" else "time_series",
        }
        for index, (query, legend) in enumerate(panel.queries)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "gridPos": place,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {},
    }
