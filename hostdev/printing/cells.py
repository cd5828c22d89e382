"""Tables and trees: cells with a tone, text that is safe to print, columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from domxml.text import visible


class Tone(StrEnum):
    """The meaning of a cell to the eye; its value is how rich names the style."""

    PLAIN = ""
    GOOD = "green"
    WARN = "yellow"
    BAD = "red"
    FAINT = "dim"
    STRONG = "bold"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and its tone."""

    text: str
    tone: Tone = Tone.PLAIN
    color: str = ""
    """A colour of its own, such as #2f9e44, instead of a tone."""


Row = tuple[Cell | str, ...]


class Fit(Enum):
    """The behaviour of a column when the terminal is too narrow."""

    KEEP = auto()
    CUT = auto()
    WRAP = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """A column's header and its manners."""

    title: str
    fit: Fit = Fit.KEEP
    least: int = 14
    """How narrow it may become, if it does not keep its width."""
    spare: int = 0
    """Left out where there is no room for all: the lowest number stays longest, and 0 always."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of a tree and what hangs below it."""

    label: Row
    children: tuple[Branch, ...] = ()


def cell(value: Cell | str) -> Cell:
    """A bare string is a plain cell; what cannot be printed shows as its code."""
    found = value if isinstance(value, Cell) else Cell(value)
    return Cell(visible(found.text), found.tone, found.color)


def dash(value: object) -> str:
    """The text of a value, a dash for none."""
    return "-" if value is None or value == "" else str(value)


GAP = "   "
_CODES = {Tone.GOOD: "32", Tone.WARN: "33", Tone.BAD: "31", Tone.FAINT: "2", Tone.STRONG: "1"}


def table(
    header: Sequence[Column],
    rows: Sequence[Row],
    *,
    color: bool,
    whole: bool = False,  # noqa: ARG001  a pipe has room for all
    headless: bool = False,
) -> str:
    """Lay out rows below their headers."""
    titles = [] if headless else [[Cell(column.title, Tone.STRONG) for column in header]]
    lines = [*titles, *(list(map(cell, row)) for row in rows)]
    if not lines:
        return ""
    widths = [max(width(line[column].text) for line in lines) for column in range(len(header))]
    return "".join(_line(line, widths, color=color) + "\n" for line in lines)


def tree(branches: Sequence[Branch], *, color: bool) -> str:
    """Lay out trees with ASCII branches."""
    return "".join(f"{line}\n" for branch in branches for line in _tree_lines(branch, "", "", color=color))


def markdown(text: str, *, color: bool) -> str:  # noqa: ARG001  what a terminal colours, a pipe gets as it is
    """A page of Markdown, as it is."""
    return text


def label(row: Row, *, color: bool) -> str:
    """Pieces of a line, one after another."""
    return "".join(paint(cell(part), color=color) for part in row)


_PIECE = re.compile(r"`[^`]*`\S*|\S+|\s+")
"""A word, a command as a whole, or what is between them."""


def fold(row: Row, *, columns: int, hang: int, color: bool) -> str:
    """Pieces of a line, broken between words into lines that hang below its beginning."""
    lines, used = [""], 0
    for part in map(cell, row):
        for piece in _PIECE.findall(part.text):
            size = width(piece)
            if used + size > columns and used > hang:
                lines[-1] = lines[-1].rstrip(" ")
                lines.append(" " * hang)
                used = hang
                if piece.isspace():
                    continue
            lines[-1] += paint(Cell(piece, part.tone, part.color), color=color)
            used += size
    return "\n".join(lines)


def paint(shown: Cell, *, color: bool) -> str:
    """A cell's text in its colour."""
    code = _true_color(shown.color) if shown.color else _CODES.get(shown.tone)
    return f"\x1b[{code}m{shown.text}\x1b[0m" if color and code else shown.text


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_letter_width(letter) for letter in text)


def _true_color(color: str) -> str:
    return "38;2;" + ";".join(str(int(color[start : start + 2], 16)) for start in (1, 3, 5))


def _letter_width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _line(line: Sequence[Cell], widths: Sequence[int], *, color: bool) -> str:
    parts = [
        paint(shown, color=color) + " " * (size - width(shown.text))
        for shown, size in zip(line[:-1], widths[:-1], strict=True)
    ]
    return GAP.join([*parts, paint(line[-1], color=color)])


def _tree_lines(branch: Branch, first: str, following: str, *, color: bool) -> Iterator[str]:
    yield first + label(branch.label, color=color)
    for child in branch.children[:-1]:
        yield from _tree_lines(child, f"{following}|-- ", f"{following}|   ", color=color)
    for child in branch.children[-1:]:
        yield from _tree_lines(child, f"{following}`-- ", f"{following}    ", color=color)
