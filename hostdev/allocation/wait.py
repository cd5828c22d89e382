"""Waiting for a file that somebody else writes while the VM starts."""

from __future__ import annotations

from collections.abc import Callable

POLL = 0.05


def wait_for(
    read: Callable[[], bytes | None], deadline: float, *, clock: Callable[[], float], sleep: Callable[[float], None]
) -> bytes | None:
    """Read until there is something, at least once; None when the deadline, by that clock, has passed."""
    while (data := read()) is None:
        left = deadline - clock()
        if left <= 0:
            return None
        sleep(min(POLL, left))
    return data


def filled(data: bytes | None) -> bytes | None:
    """What was read, unless it is blank: a downward API file exists before the annotation behind it does."""
    return data if data and data.strip() else None
