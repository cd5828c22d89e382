"""The wish to end, which a signal may bring at any moment."""

from __future__ import annotations

from queue import SimpleQueue


class Stop:
    """As an Event, but its `set` may interrupt its `wait`: an Event would wait there for its own lock, for good."""

    def __init__(self) -> None:
        self._told: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """From a signal handler, or from any thread."""
        self._told.put(None)

    def is_set(self) -> bool:
        """Whether somebody did."""
        return not self._told.empty()

    def wait(self) -> None:
        """Until somebody does."""
        self._told.put(self._told.get())
