"""What tests of the scenarios share: each case, golden texts, and the real libvirt."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.oracle.fixtures import oracle, root
from tests.scenarios.cases import CASES, Case

__all__ = ["oracle", "root"]


def pytest_addoption(parser: pytest.Parser) -> None:
    with contextlib.suppress(ValueError):  # another conftest may offer it as well
        parser.addoption("--regenerate", action="store_true", help="write golden texts anew instead of comparing")


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    """Each scenario in turn."""
    found: Case = request.param
    return found


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with the file that records it."""

    def compare(file: Path, text: str) -> None:
        if request.config.getoption("--regenerate", default=False):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        expected = file.read_text(encoding="utf-8") if file.exists() else ""
        lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), file.name, "now", lineterm="", n=1)
        assert text == expected, "\n".join([*lines, "pytest --regenerate tests/scenarios writes it anew"])

    return compare
