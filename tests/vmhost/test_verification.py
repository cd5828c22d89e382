from __future__ import annotations

import pytest

from tests.vmhost import session, verification
from tests.vmhost.inside.scenario import Row
from tests.vmhost.report import Report

ROWS = [
    Row("start a | b", "group 12 is not viable", "2026-01-01T00:00:00.5Z group 7\nis not viable"),
    Row("stop", "x", "y"),
]


def test_what_differs_from_run_to_run_is_not_on_the_page() -> None:
    about = "`a_vf_starts`: A VF on vfio-pci goes into a domain, behind a port of its own."

    assert verification.lines("a_vf_starts", ROWS) == [
        f"| {about} | start a \\| b | group N is not viable | group N is not viable |\n",
        "| | stop | x | y |\n",
    ]


def test_a_page_is_read_as_it_was_written() -> None:
    rows = {name: verification.lines(name, ROWS) for name in session.asked_for()}

    assert verification.on_page(verification.page(rows)) == rows


def test_every_scenario_is_on_the_page_and_nothing_else() -> None:
    assert verification.on_page(verification.PAGE.read_text()).keys() == set(session.asked_for())


@pytest.mark.vmhost
@pytest.mark.parametrize("scenario", session.asked_for())
def test_the_page_tells_what_happened(scenario: str, report: Report) -> None:
    outcome = report.outcome(scenario)
    assert outcome, report.failure(scenario)

    assert verification.on_page(verification.PAGE.read_text()).get(scenario) == verification.lines(
        scenario, outcome.rows
    ), "python -m tests.vmhost.verification writes it anew"
