"""The boots of the passthrough host serve every scenario of a test session."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext

import pytest

from tests.vmhost import obstacles, session
from tests.vmhost.debian import NotPossible
from tests.vmhost.image import Image, Say, build, image
from tests.vmhost.report import Report

NESTED = "nested"


def pytest_itemcollected(item: pytest.Item) -> None:
    """A scenario that boots a guest has a marker of its own."""
    if session.boots_a_guest(_scenario(item)):
        item.add_marker(NESTED)


@pytest.fixture(autouse=True)
def _guests_have_a_kernel(request: pytest.FixtureRequest) -> None:
    if not session.can_run(image(), _scenario(request.node)):
        pytest.skip("there is no kernel for guests: make test-host, or python -m tests.vmhost.image --small-kernel")


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
    begun = time.monotonic()
    try:
        built = build(say)
    except NotPossible as reason:
        pytest.skip(f"no passthrough host: {reason}")
    say(f"having the passthrough host took {time.monotonic() - begun:.0f} s")
    return built


@pytest.fixture(scope="session")
def report(host: Image, say: Say, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What the host told of every scenario that was selected."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    asked = (_scenario(item) for item in items if "report" in item.fixturenames)
    wanted = [scenario for scenario in dict.fromkeys(asked) if session.can_run(host, scenario)]
    return session.run(host, wanted, tmp_path_factory.mktemp("vmhost"), say)


def _scenario(item: pytest.Item) -> str:
    return str(item.callspec.params.get("scenario", "")) if hasattr(item, "callspec") else ""
