"""Waiting for a file, with a clock that only the sleeper moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hostdev.inject.gather import POLL, is_filled, wait_until


class Time:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.naps: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


class File:
    """A file that appears after so many looks."""

    def __init__(self, absent: int) -> None:
        self.absent = absent
        self.looks = 0

    def is_there(self) -> bool:
        self.looks += 1
        return self.looks > self.absent


def test_a_file_that_is_there_costs_no_time() -> None:
    time, file = Time(), File(0)

    assert wait_until(file.is_there, 0.0, clock=time.clock, sleep=time.sleep)
    assert (time.naps, file.looks) == ([], 1)


def test_it_is_looked_for_every_fifty_milliseconds() -> None:
    time, file = Time(), File(4)

    assert wait_until(file.is_there, 101.0, clock=time.clock, sleep=time.sleep)
    assert time.naps == [POLL] * 4


def test_a_deadline_that_has_passed_means_one_look() -> None:
    time, file = Time(), File(9)

    assert not wait_until(file.is_there, 99.0, clock=time.clock, sleep=time.sleep)
    assert (time.naps, file.looks) == ([], 1)


@given(st.floats(0.001, 5), st.integers(0, 200))
def test_nobody_waits_past_the_deadline_and_the_last_look_is_at_it(patience: float, absent: int) -> None:
    time, file = Time(), File(absent)
    deadline = time.now + patience

    there = wait_until(file.is_there, deadline, clock=time.clock, sleep=time.sleep)

    assert time.now <= deadline + 1e-6
    assert all(0 < nap <= POLL for nap in time.naps)
    if not there:
        assert time.now >= deadline - 1e-6
        assert file.looks == len(time.naps) + 1


def test_a_blank_file_is_not_filled_yet() -> None:
    assert not is_filled(b"")
    assert not is_filled(b" \n\t")
    assert is_filled(b"{}\n")
