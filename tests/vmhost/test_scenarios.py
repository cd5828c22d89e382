"""The scenarios that run on a real passthrough host, a test for each."""

from __future__ import annotations

import pytest

from tests.vmhost.inside.scenario import all_scenarios
from tests.vmhost.report import Report

pytestmark = pytest.mark.vmhost


@pytest.mark.parametrize("scenario", all_scenarios())
def test_scenario(scenario: str, report: Report) -> None:
    if failure := report.failure(scenario):
        pytest.fail(failure, pytrace=False)
