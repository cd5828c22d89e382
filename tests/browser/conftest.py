"""The browser, where it is installed, and pages for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.browser.chromium import PROGRAM, Chromium, program
from tests.browser.fleets import CLOSING, STRANGE, WHY, many, page_of, rack


def pytest_addoption(parser: pytest.Parser) -> None:
    with contextlib.suppress(ValueError):  # another conftest may offer it as well
        parser.addoption("--regenerate", action="store_true", help="write golden texts anew instead of comparing")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all tests of this tier."""
    if program() is None:
        pytest.skip(f"{PROGRAM} is not installed: apt-get install {PROGRAM}")
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Chromium]:
    """A wide and light one; a test in which the page complained has failed."""
    chromium.errors.clear()
    chromium.look(1600)
    yield chromium
    assert chromium.errors == []


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the page of a rack, with a VM to place."""
    place = tmp_path_factory.mktemp("page")
    return page_of(rack(place / "rack"), place / "fleet.html", WHY).as_uri()


@pytest.fixture(scope="session")
def strange(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page full of names that would be markup."""
    place = tmp_path_factory.mktemp("strange")
    directory = rack(place / "rack")
    text = (directory / "edge-1.toml").read_text()
    release = CLOSING.replace('"', '\\"')
    text = text.replace('osrelease = "6.12.57+deb13-amd64"', f'osrelease = "{release}"')
    (directory / f"{STRANGE}.toml").write_text(text)
    finding = {"code": "x", "severity": STRANGE, "subject": STRANGE, "message": CLOSING, "hint": CLOSING}
    why = {"vm": STRANGE, "items": [{"node": STRANGE, "verdict": STRANGE, "findings": [finding]}]}
    return page_of(directory, place / "fleet.html", why).as_uri()


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of 200 nodes."""
    place = tmp_path_factory.mktemp("large")
    return page_of(many(place / "nodes"), place / "fleet.html").as_uri()
