"""Every query of the dashboard, and every rule, asked of a real Prometheus that scrapes real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hooksidecar.monitoring.alerts import ALERTS, rules
from hooksidecar.monitoring.claimmetrics import CLAIM_METRICS
from hooksidecar.monitoring.dashboard import CHOSEN, Panel, sections
from hooksidecar.monitoring.metrics import METRICS, TARGET_LABELS
from tests.hooksidecar.claims.cluster import claim_node
from tests.hooksidecar.monitoring.prometheus import Prometheus, promtool, series_name, skip_without, target_labels
from tests.hooksidecar.monitoring.recordings import SCENARIOS, running

# A kubelet of the tests that ends leaves calls of its threads unanswered.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

PANELS = [(title, panel) for title, panels in sections().items() for panel in panels]
NODES = ("well", "an offer not taken")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It scrapes a node as it should be, with a driver of claims, and one that is managed and offers in vain."""
    skip_without()
    with (
        running(SCENARIOS[NODES[0]]) as one,
        running(SCENARIOS[NODES[1]]) as other,
        TemporaryDirectory(prefix="kd-") as directory,
        claim_node(Path(directory)) as node,
    ):
        for name, place in zip(NODES, (one, other), strict=True):
            SCENARIOS[name].change(place)
        driver = node.serve()
        node.await_driver()
        ports = {one.port: target_labels(1), other.port: target_labels(2)}
        ports[driver.said("serving metrics")[0]["port"]] = target_labels(1, program="passgate-claims")
        with Prometheus(tmp_path_factory.mktemp("prometheus"), ports, rules()) as server:
            yield server


@pytest.mark.parametrize(("section", "panel"), PANELS, ids=[f"{title}: {panel.title}" for title, panel in PANELS])
def test_a_panel_has_what_to_show(prometheus: Prometheus, section: str, panel: Panel) -> None:
    for node in ("node-1", "node-2", "node-1|node-2"):
        found = [prometheus.query(query.replace(CHOSEN, node)) for query, _ in panel.queries]

        if section == "Fleet" or node == "node-1|node-2":
            assert all(found)
        assert all(line["value"][1] for lines in found for line in lines)


def test_what_the_lines_are_called_by_is_in_the_series(prometheus: Prometheus) -> None:
    for _, panel in PANELS:
        for query, legend in panel.queries:
            found = prometheus.query(query.replace(CHOSEN, ".+"))
            named = {word.strip("{}") for word in legend.split() if word.startswith("{{")}
            assert all(named <= line["metric"].keys() for line in found), panel.title


def test_the_variable_has_the_nodes(prometheus: Prometheus) -> None:
    assert prometheus.ask("label/node/values", **{"match[]": "passgate_build_info"}) == ["node-1", "node-2"]


def test_the_server_evaluates_every_rule(prometheus: Prometheus) -> None:
    (group,) = prometheus.ask("rules")["groups"]

    assert len(group["rules"]) == len(ALERTS)
    for rule in group["rules"]:
        prometheus.query(rule["query"])
        assert not rule.get("lastError")


def test_it_has_every_metric_with_its_labels(prometheus: Prometheus) -> None:
    """As it is scraped, with what Prometheus adds."""
    for metric in (*METRICS, *CLAIM_METRICS):
        found = prometheus.query(series_name(metric))
        assert found, metric.name
        for line in found:
            assert line["metric"].keys() - {"le"} == {
                *metric.label_names,
                *TARGET_LABELS,
                "__name__",
                "job",
                "instance",
            }


def test_promtool_has_nothing_to_say_of_what_is_served() -> None:
    skip_without()
    with running(SCENARIOS["well"]) as place:
        text = place.until("passgate_hook_verdicts_total{")

    assert promtool("check", "metrics", input=text) == ""
