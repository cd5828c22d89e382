"""The alerts, judged by promtool on what the real agent served: each in its trouble, and none while all is well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hooksidecar.monitoring.alerts import ALERTS, rules
from hooksidecar.monitoring.claimmetrics import BEHIND, REGISTERED
from hooksidecar.monitoring.metrics import OFFER_REGISTRATIONS, OFFER_RESOURCES, OFFER_UNITS
from tests.hooksidecar.monitoring.prometheus import promtool, skip_without, target_labels
from tests.hooksidecar.monitoring.recordings import SCENARIOS, Recording, Scenario, all_running, record

STEP = 30
"""Seconds from scrape to scrape."""
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'
LABEL = r"\{\{ \$labels\.(\w+) \}\}|\{\{ with \$labels\.(\w+) \}\}.*?\{\{ end \}\}"
HEALTHY = sorted(name for name, scenario in SCENARIOS.items() if not scenario.alert)
TROUBLES = sorted(SCENARIOS.keys() - set(HEALTHY))


class Phase(NamedTuple):
    """What Prometheus gets of one target for some minutes; None is no answer."""

    seconds: int
    recording: Recording | None
    labels: Mapping[str, str] = target_labels(1)


@pytest.fixture(scope="module")
def recordings() -> Iterator[dict[str, Recording]]:
    skip_without()
    with all_running() as places:
        yield record(places)


def judge(directory: Path, *targets: Iterable[Phase], expected: Mapping[str, Iterable[str]], **more: Any) -> None:
    """Have promtool play the phases of each target; at each time these alerts fire, and no others."""
    (directory / "rules.yml").write_text(json.dumps(rules()))
    checks = [
        {
            "expr": FIRING,
            "eval_time": time,
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names],
        }
        for time, names in expected.items()
    ]
    series = [{"series": name, "values": values} for target in targets for name, values in _series([*target])]
    test = {"interval": f"{STEP}s", "input_series": series, "promql_expr_test": checks, **more}
    content = {"rule_files": ["rules.yml"], "evaluation_interval": f"{STEP}s", "tests": [test]}
    (directory / "test.yml").write_text(json.dumps(content))
    promtool("test", "rules", directory / "test.yml")


def minutes(*numbers: int) -> dict[str, Iterable[str]]:
    """Times at which nothing fires."""
    return {f"{number}m": () for number in numbers}


def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    skip_without()
    (tmp_path / "rules.yml").write_text(json.dumps(rules()))

    assert "FAILED" not in promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml")


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_fires_for_an_hour(recordings: dict[str, Recording], tmp_path: Path, name: str) -> None:
    judge(tmp_path, [Phase(3600, recordings[name])], expected=minutes(*range(60)))


@pytest.mark.parametrize("name", TROUBLES)
def test_each_trouble_has_its_alert_and_no_other(recordings: dict[str, Recording], tmp_path: Path, name: str) -> None:
    """On a node that was well before, beside one that is well all the time."""
    scenario = SCENARIOS[name]
    well = recordings[next(other for other in HEALTHY if SCENARIOS[other].host == scenario.host)]
    hurt = [Phase(1800, well), Phase(3600, recordings[name])]
    fires = {"45m": [scenario.alert], "60m": [scenario.alert], "89m": [scenario.alert]}

    judge(
        tmp_path,
        hurt,
        [Phase(5400, well, target_labels(2))],
        expected={**minutes(1, 15, 30), **fires},
        alert_rule_test=[_whole(scenario)],
    )


def test_a_trouble_that_is_over_is_over(recordings: dict[str, Recording], tmp_path: Path) -> None:
    well, hurt = recordings["well"], recordings["granted twice"]
    phases = [Phase(600, well), Phase(600, hurt), Phase(1200, well)]

    judge(tmp_path, phases, expected={**minutes(9, 11), "15m": ["PassgateSourcesDisagree"], **minutes(21, 30)})


@pytest.mark.parametrize(
    "name", ["granted twice", "kubelet disagrees", "a link in a volume", "node state drifted", "a torn record"]
)
def test_what_lasts_a_moment_wakes_no_one(recordings: dict[str, Recording], tmp_path: Path, name: str) -> None:
    """Two scrapes that see it: what is so while volumes are mounted, or a node state is made."""
    well = recordings["node state held" if SCENARIOS[name].program else "well"]
    phases = [Phase(600, well), Phase(2 * STEP, recordings[name]), Phase(1200, well)]

    judge(tmp_path, phases, expected=minutes(*range(8, 30)))


def test_a_rollout_is_no_alert(recordings: dict[str, Recording], tmp_path: Path) -> None:
    """One pod ends; the next one pulls its image for some minutes."""
    well, new = recordings["well"], target_labels(1, "passgate-agent-new")
    phases = [Phase(600, well), Phase(600, None, new), Phase(3600, well, new)]

    judge(tmp_path, phases, expected=minutes(*range(75)))


def test_a_reboot_is_no_alert(recordings: dict[str, Recording], tmp_path: Path) -> None:
    well, other = recordings["well"], [Phase(7200, recordings["well"], target_labels(2))]
    phases = [Phase(600, well), Phase(1140, None), Phase(3600, well)]

    judge(tmp_path, phases, other, expected=minutes(*range(80)))


def test_an_agent_that_does_not_answer(recordings: dict[str, Recording], tmp_path: Path) -> None:
    phases = [Phase(600, recordings["well"]), Phase(3600, None)]

    judge(
        tmp_path,
        phases,
        expected={**minutes(5, 25), "31m": ["PassgateAgentNotScraped"], "60m": ["PassgateAgentNotScraped"]},
    )


def offering(units: Mapping[str, int], resources: Mapping[str, int], ended: int = 0) -> Recording:
    """What an agent serves of its offer."""
    given = ((OFFER_UNITS, units), (OFFER_RESOURCES, resources), (OFFER_REGISTRATIONS, {"taken": 1, "ended": ended}))
    return Recording(
        {
            (row.family, frozenset({(row.labels[0].name, word)})): counts.get(word, 0)
            for row, counts in given
            for word in row.labels[0].values
        }
    )


OFFERING = offering({"free": 3, "given": 1}, {"registered": 1})
TROUBLES_OF_AN_OFFER = {
    "a free unit unhealthy": (
        offering({"free": 2, "given": 1, "unhealthy": 1}, {"registered": 1}),
        "PassgateUnitsGone",
    ),
    "a given unit unhealthy": (offering({"free": 3, "given-unhealthy": 1}, {"registered": 1}), "PassgateUnitsGone"),
    "units unplugged": (offering({"free": 1, "given": 1}, {"registered": 1}), "PassgateUnitsGone"),
    "not registered": (offering({"free": 3, "given": 1}, {"unregistered": 1}, 1), "PassgateOfferNotTaken"),
    "a foreign plugin": (offering({"free": 3, "given": 1}, {"foreign": 1}, 1), "PassgateOfferNotTaken"),
}


@pytest.mark.parametrize("name", TROUBLES_OF_AN_OFFER)
def test_a_trouble_of_the_offer_has_its_alert(tmp_path: Path, name: str) -> None:
    skip_without()
    trouble, alert = TROUBLES_OF_AN_OFFER[name]
    phases = [Phase(1800, OFFERING), Phase(1200, trouble), Phase(5400, OFFERING)]

    judge(
        tmp_path,
        phases,
        [Phase(8400, OFFERING, target_labels(2))],
        expected={**minutes(1, 15, 30), "37m": [alert], "49m": [alert], **minutes(51, 80, 120)},
    )


def claiming(behind: int, registered: int) -> Recording:
    """What a driver of claims serves of the way to the API server, and to kubelet."""
    return Recording({(BEHIND.family, frozenset()): behind, (REGISTERED.family, frozenset()): registered})


@pytest.mark.parametrize(
    ("trouble", "alert"), [(claiming(90, 1), "PassgateSlicesBehind"), (claiming(0, 0), "PassgateClaimsNotTaken")]
)
def test_a_trouble_of_claims_has_its_alert(tmp_path: Path, trouble: Recording, alert: str) -> None:
    skip_without()
    well = claiming(0, 1)
    phases = [Phase(600, well), Phase(60, claiming(40, 0)), Phase(600, well), Phase(1200, trouble), Phase(600, well)]

    judge(tmp_path, phases, expected={**minutes(9, 12, 20), "30m": [alert], "40m": [alert], **minutes(45)})


def test_a_change_of_who_has_what_is_no_trouble(tmp_path: Path) -> None:
    """VMs start and end, kubelet is restarted, the agent is replaced."""
    skip_without()
    busy = offering({"given": 4}, {"registered": 1}, 1)
    restarted = Phase(60, offering({"free": 3, "given": 1}, {"unregistered": 1}, 1))
    new = target_labels(1, "passgate-agent-new")
    phases = [Phase(1800, OFFERING), Phase(1800, busy), restarted, Phase(1800, OFFERING), Phase(1800, busy, new)]

    judge(tmp_path, phases, expected=minutes(*range(0, 120, 5)))


def test_units_that_were_taken_out_are_missed_for_an_hour(tmp_path: Path) -> None:
    skip_without()
    phases = [Phase(1800, OFFERING), Phase(9000, offering({"free": 1}, {"registered": 1}))]

    judge(tmp_path, phases, expected={**minutes(30), "60m": ["PassgateUnitsGone"], **minutes(95, 170)})


def test_no_agent_at_all(tmp_path: Path) -> None:
    skip_without()
    judge(tmp_path, expected={**minutes(1, 19), "21m": ["PassgateNoAgent"]})


def _whole(scenario: Scenario) -> dict[str, Any]:
    """The alert with all of its labels and texts."""
    (alert,) = (one for one in ALERTS if one.name == scenario.alert and one.labels.items() <= scenario.labels.items())
    target = target_labels(1)
    if alert.expr.startswith("max by"):
        target = {name: target[name] for name in ("namespace", "node", "pod")}
    labels = {**target, **scenario.labels, "severity": alert.severity}
    (rule,) = (
        rule for rule in rules()["groups"][0]["rules"] if (rule["alert"], rule["expr"]) == (alert.name, alert.expr)
    )
    texts = {
        key: re.sub(LABEL, lambda name: labels[name[1] or name[2]], text) for key, text in rule["annotations"].items()
    }
    assert not any("{{" in text for text in texts.values())
    return {
        "eval_time": "60m",
        "alertname": alert.name,
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": texts}],
    }


def _series(phases: list[Phase]) -> Iterator[tuple[str, str]]:
    """Every series of a target, as promtool writes values: a number, how much it grows, and how often."""
    for labels in {tuple(sorted(phase.labels.items())): phase.labels for phase in phases}.values():
        own = [phase if phase.labels == labels else phase._replace(recording=None) for phase in phases]
        present = [phase.labels == labels for phase in phases]
        yield (
            _name("up", labels),
            " ".join(
                f"{int(one.recording is not None)}+0x{_count(one)}" if there else f"_x{_count(one) + 1}"
                for one, there in zip(own, present, strict=True)
            ),
        )
        names = {series for phase in own if phase.recording for series in phase.recording.samples}
        for series in sorted(names, key=repr):
            name = _name(series[0], {**dict(series[1]), **labels})
            yield name, " ".join(_values(phase, series) for phase in own)


def _values(phase: Phase, series: Any) -> str:
    if phase.recording is None or series not in phase.recording.samples:
        # Prometheus marks what a target does not serve any more.
        return f"stale _x{_count(phase)}" if _count(phase) else "stale"
    slope = STEP if series in phase.recording.growing else 0
    return f"{phase.recording.samples[series]:.3f}+{slope}x{_count(phase)}"


def _count(phase: Phase) -> int:
    """How often a value follows the first one."""
    return phase.seconds // STEP - 1


def _name(family: str, labels: Mapping[str, str]) -> str:
    return f"{family}{{{','.join(f'{name}={json.dumps(value)}' for name, value in sorted(labels.items()))}}}"
