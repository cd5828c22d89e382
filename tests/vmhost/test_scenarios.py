"""The scenarios that run on a real passthrough host, a test for each."""

from __future__ import annotations

import pytest

from tests.vmhost.report import Report
from tests.vmhost.inside.scenario import all_scenarios

pytestmark = pytest.mark.vmhost


@pytest.mark.parametrize("name", all_scenarios())
def test_scenario(name: str, report: Report) -> None:
    if failure := report.failure(name):
        pytest.fail(failure, pytrace=False)
