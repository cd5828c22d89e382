from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vmhost import share
from tests.vmhost.inside.scenario import Outcome, Row, all_scenarios, scenario
from tests.vmhost.machine import Result
from tests.vmhost.report import Boot, Report

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

LISTED = "from tests.vmhost.inside.scenario import all_scenarios; print(*all_scenarios())"


def test_a_scenario_without_words_is_none() -> None:
    def silent(_bench: Bench) -> None:
        pass

    with pytest.raises(TypeError, match="silent does not say what it shows"):
        scenario(silent)


def test_two_scenarios_of_one_name_are_refused() -> None:
    def a_vf_starts(_bench: Bench) -> None:
        """Another one."""

    all_scenarios()
    with pytest.raises(TypeError, match="two scenarios a_vf_starts"):
        scenario(a_vf_starts)


def test_the_share_holds_all_that_scenarios_import(tmp_path: Path) -> None:
    share.lay_out(tmp_path, ["one", "two"])
    project = tmp_path / "project"

    # Without the site: the environment of development leads to the checkout, where everything is.
    packages = sysconfig.get_path("purelib")
    found = subprocess.run(
        [sys.executable, "-S", "-c", LISTED],
        cwd="/",
        env={"PYTHONPATH": f"{project / 'xml'}:{project}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    )

    assert found.stdout.split() == list(all_scenarios())
    assert (tmp_path / "wanted").read_text().split() == ["one", "two"]


def test_outcomes_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = [
        Outcome("good", passed=True, details="", seconds=1.5, rows=(Row("start", "“no”", "two\nlines"),)),
        Outcome("bad", passed=False, details="it started", seconds=0.1),
    ]
    (tmp_path / "results.jsonl").write_text("".join(outcome.to_json() + "\n" for outcome in written))

    assert share.outcomes(tmp_path) == {outcome.name: outcome for outcome in written}


def test_a_host_that_told_nothing_has_no_outcomes(tmp_path: Path) -> None:
    assert share.outcomes(tmp_path) == {}


def test_a_failure_shows_the_details_and_the_end_of_the_console(tmp_path: Path) -> None:
    console = "\n".join(f"line {number}" for number in range(100))
    outcomes = {
        "good": Outcome("good", passed=True, details="", seconds=1),
        "bad": Outcome("bad", passed=False, details="it started", seconds=1),
    }
    report = Report(dict.fromkeys(outcomes, Boot(Result(0, 12.3, console), outcomes, tmp_path)))

    assert report.failure("good") == ""
    assert report.failure("bad").startswith("it started\n--- the host's console, after 12 s:\nline 75\n")
    assert report.failure("bad").endswith("\nline 99")


def test_a_scenario_without_a_result_has_failed(tmp_path: Path) -> None:
    report = Report({"any": Boot(Result(None, 240, "Kernel panic"), {}, tmp_path)})

    assert (
        report.failure("any")
        == "no result; the host ended with None\n--- the host's console, after 240 s:\nKernel panic"
    )
