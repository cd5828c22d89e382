"""Time several candidates in turns (A-B-A-B), so that whatever else the machine does hits all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

WARM_UP = 2


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds that one candidate took, a turn each."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of all turns."""
        return statistics.median(self.seconds)

    def times(self, other: Timing) -> float:
        """How many times as long as another candidate; the median over the turns, each compared with its neighbour."""
        return statistics.median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))


def measure(
    candidates: Mapping[str, Callable[[], object]], *, turns: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Timing]:
    """Let every candidate run `turns` times; the first turns are not counted.

    A candidate of which only a part counts, or a process of its own, returns the seconds of that.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(WARM_UP + turns):
        for name, candidate in candidates.items():
            begun = clock()
            told = candidate()
            taken = told if isinstance(told, float) else clock() - begun
            if turn >= WARM_UP:
                seconds[name].append(taken)
    return {name: Timing(name, tuple(values)) for name, values in seconds.items()}
