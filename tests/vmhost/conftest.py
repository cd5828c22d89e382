"""The boots of the passthrough host serve every scenario of a test session."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache

import pytest

from tests.vmhost import recipe, session
from tests.vmhost.hosts import Hosts
from tests.vmhost.image import Image, Say, image
from tests.vmhost.report import Report

NESTED, THOROUGH = "nested", "thorough"


def pytest_itemcollected(item: pytest.Item) -> None:
    """A scenario that boots a guest has a marker of its own, and so has one that takes minutes."""
    if session.boots_a_guest(_scenario(item)):
        item.add_marker(NESTED)
    if session.waits_for_test_host(_scenario(item)):
        item.add_marker(THOROUGH)


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
def hosts(say: Say) -> Hosts:
    """Each with another kernel."""
    return Hosts(say)


@pytest.fixture(scope="session")
def host(hosts: Hosts) -> Image:
    """The built host, or the reason why there is none."""
    return hosts.of(recipe.SUITE)


@pytest.fixture(scope="session")
def reports(
    hosts: Hosts, say: Say, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Report]:
    """What the hosts told of every scenario that was selected, by the release of their kernel."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    asked = list(dict.fromkeys(_scenario(item) for item in items if "report" in item.fixturenames))
    directory = tmp_path_factory.mktemp("vmhost")

    @cache
    def report_of(kernel: str) -> Report:
        host = hosts.of(kernel)
        own = [one for one in asked if session.kernel_of(one) == kernel and session.can_run(host, one)]
        return session.run(host, own, directory / kernel, say)

    return report_of


@pytest.fixture
def report(scenario: str, reports: Callable[[str], Report]) -> Report:
    """What the host of this scenario told."""
    return reports(session.kernel_of(scenario))


def _scenario(item: pytest.Item) -> str:
    return str(item.callspec.params.get("scenario", "")) if hasattr(item, "callspec") else ""
