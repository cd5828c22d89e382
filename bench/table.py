"""Figures as lines of text: the candidates in a table, the goals below it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from bench.interleaved import Timing

MILLISECOND = 1000.0


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise, what was measured, and whether that is good enough."""

    promise: str
    measured: str
    met: bool


def table(title: str, timings: Iterable[Timing], reference: Timing) -> str:
    """Each candidate with its number of turns, median, minimum, and its time as a multiple of the reference's."""
    lines = [title, f"  {'':<46} {'n':>5} {'median':>10} {'min':>10} {'ratio':>7}"]
    for timing in timings:
        median, least = timing.median * MILLISECOND, min(timing.seconds) * MILLISECOND
        figures = f"{len(timing.seconds):>5} {median:>7.3f} ms {least:>7.3f} ms {timing.times(reference):>6.2f}x"
        lines.append(f"  {timing.name:<46} {figures}")
    return "\n".join(lines)


def goals(goals: Iterable[Goal]) -> str:
    """Each promise on a line."""
    return "\n".join(
        f"  goal met: {'yes' if goal.met else 'no ':<3}  {goal.promise}: {goal.measured}" for goal in goals
    )


def show(lines: Iterable[str]) -> None:
    """Print each line as soon as it is there."""
    for line in lines:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
