"""What tables and trees are made of: cells with a tone, and text that is safe to print."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Tone(StrEnum):
    """What a cell means to the eye; its value is how rich names the style."""

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
    """What a column does when the terminal is too narrow."""

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
    spare: bool = False
    """Left out where there is no room for all."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of a tree and what hangs below it."""

    label: Row
    children: tuple[Branch, ...] = ()


def cell(value: Cell | str) -> Cell:
    """A bare string is a plain cell; what cannot be printed shows as its code."""
    found = value if isinstance(value, Cell) else Cell(value)
    return Cell(printable(found.text), found.tone, found.color)


def printable(text: str) -> str:
    """The text without control characters: a recorded machine must not drive the terminal that shows it."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def dash(value: object) -> str:
    """The text of a value, a dash for none."""
    return "-" if value is None or value == "" else str(value)
