"""Standard input, output and error: what a command reads there and prints goes through here; a sign of life on work."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, NoReturn

from domxml.errors import BadInput, OutputLost
from domxml.text import visible

STANDARD_INPUT = "-"
"""How it is named where a file is wanted."""


def read_input(most: int = -1) -> bytes:
    """Read standard input, not more than that much of it; a terminal is told that it is read."""
    return open_input().read(most)


def open_input() -> BinaryIO:
    """Standard input, to be read in parts."""
    if sys.stdin is None:
        raise BadInput("no-input", "standard input is closed", hint="name a file instead")
    if sys.stdin.isatty():
        note("note: reading from the terminal; end with Ctrl-D")
    return sys.stdin.buffer


def is_fed() -> bool:
    """Whether standard input is a pipe or a file: then it is meant to be read."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode if sys.stdin is not None else 0
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def write(text: str) -> None:
    """Print to standard output."""
    if sys.stdout is None:
        raise OutputLost("standard output is closed")
    write_bytes(text.encode(sys.stdout.encoding or "utf-8", sys.stdout.errors or "strict"))


def write_bytes(data: bytes) -> None:
    """Print bytes to standard output as they are."""
    if sys.stdout is None:
        raise OutputLost("standard output is closed")
    with _kept():
        sys.stdout.flush()
        # With PYTHONUNBUFFERED, as in many containers, one write takes only as much as fits into the pipe.
        rest = memoryview(data)
        while rest:
            rest = rest[sys.stdout.buffer.write(rest) or 0 :]


def flush() -> None:
    """Make sure that what was printed has left; a full disk shows only now."""
    if sys.stdout is not None:
        with _kept():
            sys.stdout.flush()


def note(text: str) -> None:
    """Print lines to standard error, for people; there may be none who listen."""
    if sys.stderr is not None:
        try:
            sys.stderr.write("\n".join(map(visible, text.split("\n"))) + "\n")
            sys.stderr.flush()
        except OSError:
            # Python tries once more on its way out, and would end with a code of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def end_process(code: int) -> NoReturn:
    """Leave at once: nothing is taken apart, and a thread that hangs in a call does not keep the process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
    os._exit(code)


@contextmanager
def _kept() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(f"cannot write to standard output: {error.strerror}") from error


SECONDS = 1.0
"""What takes no longer than this is not worth a word."""


@contextmanager
def progress(what: str, after: float = SECONDS) -> Iterator[None]:
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
