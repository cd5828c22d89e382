"""What is made of the table of metrics is what is committed, and it names nothing that is not in the table."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from hooksidecar.monitoring.alerts import ALERTS, Alert, rules
from hooksidecar.monitoring.claimmetrics import CLAIM_METRICS
from hooksidecar.monitoring.dashboard import CHOSEN, dashboard, sections
from hooksidecar.monitoring.docs import DASHBOARD, files
from hooksidecar.monitoring.metrics import FINDINGS, METRICS, TARGET_LABELS
from hostdev.argumentparser import read_arguments
from hostdev.cli.commands.table import COMMANDS
from hostdev.findings.registry import ALL
from tests.hooksidecar.monitoring.prometheus import series_name
from tests.house import ROOT

FAMILIES = {series_name(metric) for metric in (*METRICS, *CLAIM_METRICS)}
CODES = re.compile(r'code=~?"([^"]+)"')


def queries() -> list[str]:
    return [query for panels in sections().values() for panel in panels for query, _ in panel.queries]


def codes(alert: Alert) -> list[str]:
    """The findings that it tells of."""
    return [code for pattern in CODES.findall(alert.expr) for code in pattern.split("|")]


@pytest.mark.parametrize("name", files(ROOT))
def test_what_is_committed_is_what_the_tables_say(name: str) -> None:
    """`python -m hooksidecar.monitoring.docs .` writes it again."""
    assert (ROOT / name).read_text() == files(ROOT)[name]


def test_a_selector_names_labels_that_are_there() -> None:
    assert FINDINGS.select(code="a|b", severity="error") == 'passgate_findings{code=~"a|b",severity="error"}'
    assert FINDINGS.select(node=CHOSEN) == 'passgate_findings{node=~"$node"}'
    with pytest.raises(ValueError, match="passgate_findings has no label driver"):
        FINDINGS.select(driver="vfio-pci")


@pytest.mark.parametrize("text", [*(alert.expr for alert in ALERTS), *queries()])
def test_every_name_in_a_query_is_a_metric(text: str) -> None:
    named = set(re.findall(r"\bpassgate_\w+", text))

    assert named <= FAMILIES
    assert named or text.startswith(("up{", "absent(up{"))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name} {alert.page}")
def test_an_alert_has_its_page_and_commands(alert: Alert) -> None:
    page, _, anchor = alert.page.partition("#")
    pages = [re.sub(r"\{\{ (\$labels.code|with.*end) \}\}", code, page) for code in codes(alert)] or [page]

    assert set(codes(alert)) <= ALL.keys()
    assert [path for path in pages if not (ROOT / path).is_file()] == []
    assert not anchor or f"## {anchor.capitalize()}\n" in (ROOT / page).read_text()
    assert alert.commands
    for command in alert.commands:
        assert command.startswith(("kubectl ", "passgate "))
        for own in re.findall(r"(?<=passgate )[^|]*", command):
            words = re.sub(r"\{\{.*?\}\}", "x", own).replace("DEVICE", "0000:3b:00.0").split()
            name = max((name for name in COMMANDS if words[: len(name.split())] == name.split()), key=len)
            assert read_arguments(COMMANDS[name], words[len(name.split()) :])


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name} {alert.page}")
def test_a_text_uses_labels_that_the_series_have(alert: Alert) -> None:
    """With `max by` some are gone, with absent() all."""
    text = " ".join((alert.summary, alert.means, alert.page, *alert.commands))
    labels = set(re.findall(r"\$labels\.(\w+)", text))
    kept = re.match(r"max by \(([\w, ]+)\)", alert.expr)
    has = set() if alert.expr.startswith("absent") else {*TARGET_LABELS, "code"}

    assert labels <= (set(kept[1].split(", ")) if kept else has)
    assert ("$labels.code" in alert.page) <= ("code=~" in alert.expr)


def test_rules_of_one_name_differ() -> None:
    made = [(rule["alert"], rule["expr"]) for rule in rules()["groups"][0]["rules"]]

    assert len(set(made)) == len(made) == len(ALERTS)


def test_the_page_for_the_night_names_what_is_there() -> None:
    """Its cases are replayed with all documents."""
    page = (ROOT / "docs/oncall.md").read_text()
    typed = [words.split() for words in re.findall(r"(?:`|\| |-- )passgate ([a-z]+(?: [a-z]+)*)", page)]

    assert set(re.findall(r"\bPassgate[A-Z]\w+", page)) <= {alert.name for alert in ALERTS}
    assert len(typed) > 10
    assert [words for words in typed if not any(" ".join(words[:count]) in COMMANDS for count in (1, 2, 3))] == []
    assert len(re.findall(r"^```+console$", page, re.MULTILINE)) >= 5


def test_every_metric_has_a_panel() -> None:
    for metric in (*METRICS, *CLAIM_METRICS):
        assert any(series_name(metric) in query and "$node" in query for query in queries()), metric.name


def test_the_dashboard_is_one_that_grafana_can_draw() -> None:
    made = json.loads((ROOT / DASHBOARD).read_text())
    assert made == json.loads(json.dumps(dashboard()))
    panels: list[dict[str, Any]] = made["panels"]

    assert [panel["title"] for panel in panels if panel["type"] == "row"] == [
        *("Fleet", "Node $node", "VMs on $node", "Claims on $node")
    ]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [cell for panel in panels for cell in _cells(panel["gridPos"])]
    assert len(set(taken)) == len(taken)
    assert all(column < 24 for column, _ in taken)
    for panel in (panel for panel in panels if panel["type"] != "row"):
        assert panel["type"] in {"table", "bargauge", "timeseries"}
        assert panel["targets"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert 8 <= len(made["uid"]) <= 40
    assert {variable["type"] for variable in made["templating"]["list"]} == {"datasource", "query"}
    variables = {variable["name"] for variable in made["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(panels))) == variables


def _cells(place: dict[str, int]) -> list[tuple[int, int]]:
    columns = range(place["x"], place["x"] + place["w"])
    return list(itertools.product(columns, range(place["y"], place["y"] + place["h"])))
