"""Words of our sentences: lists, foreign text, and what a misspelt word may have meant."""

from __future__ import annotations

from collections.abc import Iterable

NAME_LIMIT = 80


def printable(text: str, limit: int = NAME_LIMIT) -> str:
    """Escape foreign text to printable ASCII on one line, and cut it so that a sentence around it has room."""
    escaped = ascii(text[: limit + 1])[1:-1]
    return escaped if len(escaped) <= limit else f"{escaped[: limit - 3]}..."


def visible(text: str) -> str:
    """The text with what cannot be printed shown as its code: foreign text must not drive a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def listed(things: Iterable[object], most: int = 3) -> str:
    """Join the first few, and count those beyond: `A, B, C and 4 more`."""
    shown = [str(thing) for thing in things]
    more = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {more} more" if more > 0 else "")


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Find the known word that looks most like another, if one does."""
    from difflib import get_close_matches  # noqa: PLC0415  only a mistake needs it

    return next(iter(get_close_matches(word, list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None, *, cutoff: float = 0.6) -> str:
    """A hint that names the nearest known word; where none is near, all of them or what is given."""
    words = list(known)
    near = nearest(word, words, cutoff=cutoff)
    if near is not None:
        return f"did you mean {near}?"
    return "known: " + ", ".join(words) if otherwise is None else otherwise
