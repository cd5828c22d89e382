"""Tables and trees for pipes, text that is safe to print, and who gets colour."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.text import visible
from hostdev.printing.cells import GAP, Branch, Cell, Column, Row, Tone, cell, table, tree, width
from hostdev.printing.screen import Screen

SGR = re.compile(r"\x1b\[[0-9;]*m")
TEXTS = st.text(max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=6))
def test_columns_stand_below_each_other(rows: list[tuple[str, str, str]]) -> None:
    text = table([Column("A"), Column("BB"), Column("CCC")], rows, color=False)
    lines = text.split("\n")[:-1]
    cells = [[visible(part) for part in row] for row in [("A", "BB", "CCC"), *rows]]
    first, second = (max(width(row[index]) for row in cells) for index in (0, 1))

    assert len(lines) == len(rows) + 1
    for line, (one, two, three) in zip(lines, cells, strict=True):
        gap = len(GAP)
        pads = (first - width(one) + gap, second - width(two) + gap)
        assert line == one + " " * pads[0] + two + " " * pads[1] + three


@given(TEXTS)
def test_nothing_that_is_printed_drives_the_terminal(text: str) -> None:
    assert cell(text).text.isprintable()
    assert visible(visible(text)) == visible(text)


def test_an_escape_sequence_in_a_name_stays_visible() -> None:
    assert visible("a\x1b]0;x\x07b\n") == r"a\x1b]0;x\x07b\n"


@given(st.lists(st.sampled_from(Tone)))
def test_colour_adds_nothing_but_colour(tones: list[Tone]) -> None:
    rows: list[Row] = [(Cell("x", tone), Cell("y", color="#2f9e44")) for tone in tones]
    header = [Column("A"), Column("B")]

    assert SGR.sub("", table(header, rows, color=True)) == table(header, rows, color=False)
    assert "\x1b[38;2;47;158;68my\x1b[0m" in table(
        header, [("x", rows[0][1])] if rows else [("x", Cell("y", color="#2f9e44"))], color=True
    )


def test_wide_letters_take_two_columns() -> None:
    assert table([Column("A"), Column("B")], [("表", "x"), ("é", "y")], color=False) == ("A    B\n表   x\né    y\n")
    assert width("e\u0301") == 1


def test_a_tree_in_a_pipe_is_ascii() -> None:
    top = Branch(("a",), (Branch(("b",), (Branch(("c",)),)), Branch(("d",))))

    assert tree([top, Branch(("e",))], color=False) == "a\n|-- b\n|   `-- c\n`-- d\ne\n"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "color", "environment", "terminal", "colored"),
    [
        (StringIO(), "auto", {}, False, False),
        (StringIO(), "always", {}, False, True),
        (StringIO(), "always", {"NO_COLOR": "1"}, False, False),
        (StringIO(), "auto", {"FORCE_COLOR": "1"}, False, True),
        (StringIO(), "auto", {"FORCE_COLOR": "0"}, False, False),
        (StringIO(), "auto", {"CLICOLOR_FORCE": "1"}, False, True),
        (StringIO(), "never", {"FORCE_COLOR": "1"}, False, False),
        (StringIO(), "auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        (StringIO(), "always", {"NO_COLOR": ""}, False, True),
        (StringIO(), "never", {}, False, False),
        (Terminal(), "auto", {"TERM": "xterm"}, True, True),
        (Terminal(), "auto", {"TERM": "dumb"}, False, False),
        (Terminal(), "auto", {"NO_COLOR": "1"}, True, False),
        (Terminal(), "always", {"NO_COLOR": "1"}, True, False),
        (Terminal(), "always", {"TERM": "dumb"}, False, True),
        (Terminal(), "never", {}, True, False),
        (None, "auto", {}, False, False),
    ],
)
def test_who_gets_colour(
    stream: StringIO | None,
    color: str,
    environment: dict[str, str],
    terminal: bool,  # noqa: FBT001
    colored: bool,  # noqa: FBT001
) -> None:
    with redirect_stdout(stream):
        assert Screen.of(color, environment) == Screen(terminal=terminal, color=colored)
