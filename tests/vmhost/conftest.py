"""One boot of the passthrough host serves every scenario of a test session."""

from __future__ import annotations

import os
from contextlib import nullcontext

import pytest

from tests.vmhost import machine, obstacles, share
from tests.vmhost.debian import NotPossible
from tests.vmhost.image import Image, Say, build, image
from tests.vmhost.report import Report

BASE_SECONDS = 240
SECONDS_EACH = 45
"""Generous: other work on the same processors doubles every time."""


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    """Write past pytest's capture: who waits for minutes wants to know what for."""
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            print(f"\n{line}", flush=True)

    return say


@pytest.fixture(scope="session")
def host(say: Say) -> Image:
    """The built host, or the reason why there is none."""
    if reason := obstacles.to_boot():
        pytest.skip(f"no passthrough host: {reason}")
    if os.environ.get("PASSGATE_NO_BUILD") == "1" and not image().built:
        pytest.skip("no passthrough host: it is not built: make test-host")
    try:
        return build(say)
    except NotPossible as reason:
        pytest.skip(f"no passthrough host: {reason}")


@pytest.fixture(scope="session")
def report(host: Image, say: Say, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one boot told, of every scenario that was selected."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    wanted = [str(item.callspec.params["scenario"]) for item in items if "report" in item.fixturenames]
    directory = tmp_path_factory.mktemp("vmhost")
    share.lay_out(directory, wanted)
    say(f"booting a passthrough host for {len(wanted)} scenarios, a minute or two (log: {directory / machine.CONSOLE})")
    result = machine.boot(host, directory, timeout=BASE_SECONDS + SECONDS_EACH * len(wanted))
    return Report(result, share.outcomes(directory))
