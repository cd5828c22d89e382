"""What tests of the command line share: running it, in this process or in its own, and golden texts."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest
from pytest_mock import MockerFixture, MockType

from hostdev.cli import devices
from hostdev.cli.main import main
from hostdev.inventory.machine import Machine
from tests.hostdev.cli.running import ROOT, Ran, machine

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    with contextlib.suppress(ValueError):  # another conftest may offer it as well
        parser.addoption("--regenerate", action="store_true", help="write golden texts anew instead of comparing")


_machine = devices.machine_at


def _look(spec: str, *, bars: bool = False, health: bool = False) -> Machine:
    """Recorded machines do not change: each is laid out once."""
    recorded = spec.startswith("tests/fixtures/machines/")
    look = {"bars": bars, "health": health}
    return machine(PurePath(spec).stem, **look) if recorded else _machine(spec, **look)


@pytest.fixture
def look_machine(mocker: MockerFixture) -> MockType:
    """What looks at a host for the command line that `cli` runs."""
    return mocker.patch.object(devices, "machine_at", autospec=True, side_effect=_look)


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    look_machine: MockType,  # noqa: ARG001  it is in place while a command runs
) -> Callable[..., Ran]:
    """Run a command line in this process, from the root of the repository."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("NO_COLOR", raising=False)

    def run(*words: str) -> Ran:
        capsys.readouterr()
        code = main(words)
        printed = capsys.readouterr()
        return Ran(int(code), printed.out, printed.err)

    return run


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the one on record."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        if request.config.getoption("--regenerate", default=False):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        expected = file.read_text(encoding="utf-8") if file.exists() else ""
        difference = difflib.unified_diff(
            expected.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm="", n=1
        )
        assert text == expected, "\n".join([*difference, "--regenerate writes it anew"])

    return compare
