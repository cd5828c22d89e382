"""The documents say what is so: commands print what stands below them, and what is named is there."""

from __future__ import annotations

import re

import pytest

from domxml.errors import MEANINGS
from hostdev.cli.commands import COMMANDS
from tests.consoles import DOCUMENTS, replayed
from tests.house import ROOT

NAMED = re.compile(r"`([\w.-]+/[\w./-]*|[A-Z][\w-]+\.md|Makefile|Dockerfile)`|^([a-z]+/[\w/]*)(?= )", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
ELSEWHERE = ("build/", "userdata/", "hooks.kubevirt.io/", "passgate.dev/")
"""Made by a run, or in a pod, or no file at all."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_print_what_stands_below_them(name: str) -> None:
    """`python -m tests.consoles` writes it again."""
    text = (ROOT / name).read_text()

    assert text == replayed(text)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_named_is_there(name: str) -> None:
    text = (ROOT / name).read_text()
    named = {match[1] or match[2] for match in NAMED.finditer(text)}
    named = {path for path in named if not path.startswith(ELSEWHERE)}
    linked = {str((ROOT / name).parent / link) for link in LINK.findall(text)}

    assert {path for path in named | linked if not (ROOT / path).exists()} == set()


def test_the_readme_has_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert {int(code): meaning.replace("`", "") for code, meaning in rows} == MEANINGS


def test_the_readme_has_every_command() -> None:
    text = (ROOT / "README.md").read_text()

    assert {name for name in COMMANDS if f"`passgate {name}" not in text} == set()
