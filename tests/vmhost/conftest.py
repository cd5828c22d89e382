"""One boot of the passthrough host serves every scenario of a test session."""

from __future__ import annotations

import pytest

from tests.vmhost import machine, obstacles, share
from tests.vmhost.image import NotPossible, ensure
from tests.vmhost.report import Report

BASE_SECONDS = 240
SECONDS_EACH = 45
"""Generous: other work on the same processors doubles every time."""


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Boot the host once, for the scenarios that were selected."""
    if reason := obstacles.to_boot():
        pytest.skip(f"no passthrough host: {reason}")
    try:
        image = ensure()
    except NotPossible as error:
        pytest.skip(f"no passthrough host: {error}")
    wanted = [item.callspec.params["name"] for item in request.session.items if "report" in item.fixturenames]
    directory = tmp_path_factory.mktemp("vmhost")
    share.lay_out(directory, wanted)
    result = machine.boot(image, directory, timeout=BASE_SECONDS + SECONDS_EACH * len(wanted))
    return Report(result, share.outcomes(directory))
