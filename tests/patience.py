"""How long a test waits for what must come: far longer than it takes, for only a test that fails waits so long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 60.0
SOON = 10.0
"""What comes at once comes within this, however busy the machine is; a test lets all else take PATIENCE."""
PAUSE = 0.005
T = TypeVar("T")


def until(found: Callable[[], T], what: Callable[[], object] = str, seconds: float = PATIENCE) -> T:
    """Wait for something to be so, and answer it; `what` says what is the matter where it never comes."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what()}"
        time.sleep(PAUSE)
    return result
