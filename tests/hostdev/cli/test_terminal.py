"""What a person at a terminal sees, in a real one."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.printing.cells import Cell, Tone, fold, width
from hostdev.printing.output import progress
from tests.hostdev.cli.running import COMMAND, PCI_IDS, environment, host, process
from tests.hostdev.cli.terminal import SGR, at_terminal
from tests.patience import PATIENCE

LIST = ("node", "list", "--all", *host("two-socket-x710"), "--pci-ids", PCI_IDS)


def test_a_table_has_a_rule_and_colour() -> None:
    text = at_terminal(*LIST)

    assert "─" in text
    assert "\x1b[32myes" in text
    assert "0000:3b:02.0" in text


@pytest.mark.parametrize("width", [70, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = SGR.sub("", at_terminal(*LIST, width=width)).splitlines()

    assert max(map(len, lines)) <= width
    assert sum(line.startswith("0000:") for line in lines) == 32, "one line for each function"


def test_names_give_way_before_addresses() -> None:
    text = SGR.sub("", at_terminal(*LIST, width=90))

    assert "…" in text
    rows = [line for line in text.splitlines()[2:] if not line.startswith((" ", "no room for "))]
    assert all(re.match(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] ", line) for line in rows)


@pytest.mark.parametrize("changes", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(changes: dict[str, str]) -> None:
    assert "\x1b" not in at_terminal(*LIST, changes=changes)


def test_never_is_never() -> None:
    assert "\x1b" not in at_terminal(*LIST, "--color", "never")


def test_a_tree_has_branches_and_colours_of_groups() -> None:
    text = at_terminal("node", "draw", *host("consumer-gpu"), "--pci-ids", PCI_IDS, changes={"COLORTERM": "truecolor"})

    assert "└── " in text
    assert "\x1b[38;2;232;89;12m0000:01:00.0" in text


def test_a_page_is_laid_out() -> None:
    text = SGR.sub("", at_terminal("node", "explain", "group-not-viable", width=80))

    assert "## What it means" not in text
    assert "What it means" in text
    assert max(map(len, text.splitlines())) <= 80


def test_patience_says_nothing_when_it_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("waiting", after=0):
        pass

    assert capsys.readouterr().err == "", "nobody is at a terminal"


def test_patience_shows_after_a_while() -> None:
    program = (
        "import time\nfrom hostdev.printing.output import progress\n"
        "with progress('counting sheep', after=0.1): time.sleep(0.6)\n"
        "with progress('counting goats', after=30): pass\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [COMMAND[0], "-c", program], stdin=theirs, stdout=theirs, stderr=theirs, env=environment(TERM="xterm")
    ) as running:
        os.close(theirs)
        text = b""
        while select.select([ours], [], [], PATIENCE)[0]:
            try:
                text += os.read(ours, 65536)
            except OSError:
                break
    os.close(ours)

    assert running.returncode == 0
    assert b"counting sheep" in text
    assert b"goats" not in text


PIECES = st.lists(st.tuples(st.text("ab cé漢`-", max_size=30), st.sampled_from(["", "bold"])), max_size=6)


@given(PIECES, st.integers(10, 60), st.integers(0, 8))
def test_a_folded_line_says_the_same_in_words(pieces: list[tuple[str, str]], columns: int, hang: int) -> None:
    row = tuple(Cell(text, Tone(tone)) for text, tone in pieces)
    folded = fold(row, columns=columns, hang=hang, color=False)

    assert "".join(folded.split()) == "".join("".join(text for text, _ in pieces).split())
    for line in folded.split("\n"):
        assert width(line) <= columns or len(line[hang:].split()) <= 1 or "`" in line


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_doctor_is_folded_between_words_and_a_command_is_not(columns: int) -> None:
    words = ("node", "show", "3b:00.1", *host("two-socket-x710"))
    text = SGR.sub("", at_terminal(*words, width=columns))

    assert max(map(len, text.splitlines())) <= columns + 40, "a path is one word"
    assert ("\n                routes through br-storage" in text) is (columns == 60)
    assert " ".join(text.split()) == " ".join(process(*words).out.split())
    command = SGR.sub("", at_terminal("node", "show", "3b:02.4", *host("two-socket-x710"), width=columns))
    assert "passgate node bind 0000:3b:02.4" in command
