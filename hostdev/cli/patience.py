"""A sign of life for those who wait at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS = 1.0
"""What takes no longer than this is not worth a word."""


@contextmanager
def patience(what: str, after: float = SECONDS) -> Iterator[None]:
    """Say on standard error what is going on, once it has taken a while."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    import threading  # noqa: PLC0415  only at a terminal

    stop: list[Callable[[], None]] = []
    timer = threading.Timer(after, lambda: stop.append(_start(what)))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        for stopping in stop:
            stopping()


def _start(what: str) -> Callable[[], None]:
    try:
        from rich.console import Console  # noqa: PLC0415  rarely needed
    except ImportError:
        sys.stderr.write(f"{what} …\n")
        return lambda: None
    status = Console(stderr=True).status(f"{what} …")
    status.start()
    return status.stop
