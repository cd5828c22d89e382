"""A process of ours: it ends when a signal says so, and always with an exit code and a sentence."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from queue import SimpleQueue
from typing import NoReturn

from domxml.errors import PassgateError


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


def run_answered(action: Callable[[], int]) -> int:
    """Do something; what goes wrong becomes sentences on standard error and an exit code."""
    try:
        return action()
    except PassgateError as error:
        _tell(f"error: {error.what}", error.code)
        if error.hint:
            _tell(f"hint: {error.hint}")
        return error.exit_code
    except Exception as error:  # noqa: BLE001  the last line of defence against tracebacks
        from domxml import errors  # noqa: PLC0415
        from hooksidecar import deadline  # noqa: PLC0415

        _tell(f"error: a defect of passgate: {type(error).__name__} in {deadline.raised_at(error)}", "internal-error")
        return errors.INTERNAL


def end_process(code: int) -> NoReturn:
    """Leave at once: threads that hang in a call must not keep the process, and with it the pod."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
    os._exit(code)


def stop_on_signals() -> Stop:
    """Set by SIGTERM and SIGINT, from the very start: process 1 of a container ignores what it does not handle."""
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def _tell(text: str, code: str = "") -> None:
    try:
        sys.stderr.write(f"{text} [{code}]\n" if code else f"{text}\n")
    except (OSError, AttributeError):  # Nobody listens, or there is no such stream.
        return
