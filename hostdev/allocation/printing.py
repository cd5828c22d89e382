"""Foreign text in our sentences: short, printable, on one line."""

from __future__ import annotations

from collections.abc import Iterable

NAME_LIMIT = 80
SHOWN = 3


def printable(text: str, limit: int = NAME_LIMIT) -> str:
    """The text in printable ASCII, cut to a length that leaves room for a sentence around it."""
    escaped = ascii(text[: limit + 1])[1:-1]
    return escaped if len(escaped) <= limit else f"{escaped[: limit - 3]}..."


def listed(things: Iterable[object]) -> str:
    """The first few, and how many there are beyond."""
    shown = [str(thing) for thing in things]
    more = len(shown) - SHOWN
    return ", ".join(shown[:SHOWN]) + (f" and {more} more" if more > 0 else "")
