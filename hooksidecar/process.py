"""A process of ours: it ends when a signal says so, and always with an exit code and a sentence."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable

from domxml.errors import PassgateError
from domxml.text import visible


class Stop:
    """The wish to end, which a signal may bring at any moment."""

    def __init__(self) -> None:
        self._wanted = False
        self._heard, self._told = os.pipe()
        os.set_blocking(self._told, False)

    def set(self) -> None:
        """Wake the waiting; also from a signal handler, or from any thread."""
        self._wanted = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._told, b"\0")

    def is_set(self) -> bool:
        """Tell whether the end is wanted."""
        return self._wanted

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it is wanted, or for so long; whether it is."""
        heard = select.poll()
        heard.register(self._heard, select.POLLIN)
        while not self._wanted and heard.poll(None if seconds is None else seconds * 1000):
            os.read(self._heard, 1)
        return self._wanted

    def on_signals(self, *numbers: signal.Signals) -> None:
        """Be set by signals."""
        # Python runs a handler between two of its own steps: a signal that comes after the last one before `read` would
        # be heard only when `read` ends. The kernel's handler writes here at once.
        signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda _number, _frame: self.set())


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
        from hooksidecar import log  # noqa: PLC0415

        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            _tell("error: no thread can be started: the pod may have no more processes", "no-threads")
            _tell("hint: look at the pids limit of the pod, and at podPidsLimit of its node")
            return errors.ExitCode.NOT_PERMITTED
        _tell(f"error: a defect of passgate: {type(error).__name__} in {log.raised_at(error)}", "internal-error")
        return errors.INTERNAL


def stop_on_signals() -> Stop:
    """Set by SIGTERM and SIGINT, from the very start: process 1 of a container ignores what it does not handle."""
    stop = Stop()
    stop.on_signals(signal.SIGTERM, signal.SIGINT)
    return stop


def _tell(text: str, code: str = "") -> None:
    try:
        sys.stderr.write(visible(f"{text} [{code}]" if code else text) + "\n")
    except (OSError, AttributeError):  # No reader is left, or there is no such stream.
        return
