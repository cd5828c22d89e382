"""Manual pages: one for each command, complete, and good roff."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from hostdev.cli.commands import table
from hostdev.cli.manpage import pages
from hostdev.commandline import COMMON
from hostdev.vmi.settings import SETTINGS
from tests.hostdev.cli.running import Ran


def test_there_is_a_page_for_every_command(cli: Callable[..., Ran], tmp_path: Path) -> None:
    directory = tmp_path / "man/man1"
    ran = cli("man", str(directory))

    names = [
        "passgate",
        *(f"passgate-{name.replace(' ', '-')}" for name in (*table.GROUPS, *table.COMMANDS) if name),
        *("passgate-hook", "passgate-hook-rehearse", "passgate-agent", "passgate-claims", "onDefineDomain"),
    ]
    assert ran == Ran(0, f"{len(names)} pages in {directory}\n", "")
    assert {file.name for file in directory.iterdir()} == {f"{name}.1" for name in names}


@pytest.mark.parametrize("name", pages())
def test_a_page_is_good_roff(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(pages()[name])
    if shutil.which("mandoc"):
        command = ["mandoc", "-T", "lint", "-W", "warning", str(file)]
    elif shutil.which("groff"):
        command = ["groff", "-man", "-ww", "-Tutf8", "-z", str(file)]
    else:
        pytest.skip("neither mandoc nor groff is installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    # A date would make the pages different with every build.
    assert [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line] == []


def test_a_page_tells_all() -> None:
    for command in table.COMMANDS.values():
        text = pages()[f"passgate-{command.name.replace(' ', '-')}.1"].replace("\\-", "-").replace("\\&", "")
        for argument in (*command.arguments, *COMMON):
            assert argument.help.replace("…", "...") in text
        assert all(f".B {code}\n{meaning.replace('…', '...')}" in text for code, meaning in command.codes.items())
        assert all(line in text for line, _ in command.examples)


def test_a_directory_that_cannot_be_written(cli: Callable[..., Ran]) -> None:
    ran = cli("man", "/proc/nowhere")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err.startswith("error: /proc/nowhere: the pages cannot be written")


def test_the_settings_of_a_device_stand_on_the_page_of_inject() -> None:
    text = pages()["passgate-inject.1"].replace("\\-", "-")

    for row in SETTINGS.values():
        assert row.which or f".B {row.spelling}\n{row.explanation}\n" in text
