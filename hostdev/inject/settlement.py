"""What the first success of a process settled: later calls hold to it, whatever the channels say by then."""

from __future__ import annotations

from threading import Lock
from typing import Generic, TypeVar

S = TypeVar("S")


class Settlement(Generic[S]):
    """Nothing of an answer is remembered until it goes out: its caller may be gone by now."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.answers = 0
        """How many went out."""
        self.value: S | None = None

    def keep(self, settled: S | None, *, counts: bool = True) -> int:
        """Hold to what an answer settled, because it goes out now; tell how many did so far."""
        with self._lock:
            self.value = self.value or settled
            self.answers += counts
            return self.answers
