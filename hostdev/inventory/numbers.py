"""Numbers as sysfs writes them."""

from __future__ import annotations

_MAX_DIGITS = 20


def number(text: str | None) -> int | None:
    """A count or an index; None for anything else, as for the -1 of an unknown node."""
    return int(text) if text and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def flag(text: str | None) -> bool | None:
    """0 or 1; None for anything else."""
    return {"0": False, "1": True}.get(text or "")
