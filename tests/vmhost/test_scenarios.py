"""The scenarios that run on a real passthrough host, a test for each."""

from __future__ import annotations

import pytest

from tests.vmhost import session
from tests.vmhost.report import Report

pytestmark = pytest.mark.vmhost


@pytest.mark.parametrize("scenario", session.asked_for())
def test_scenario(scenario: str, report: Report) -> None:
    if failure := report.failure(scenario):
        pytest.fail(failure, pytrace=False)
