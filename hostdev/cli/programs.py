"""Other programs: words in, bytes out, with a deadline; nothing that they started outlives them."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

LARGEST = 64 << 20
_ERRORS = 16384
_AT_ONCE = 1 << 16
_running: set[subprocess.Popen[bytes]] = set()
_guard = threading.Lock()


class Done(NamedTuple):
    """How a program ended."""

    code: int
    data: bytes
    errors: str


def run_program(command: Sequence[str], deadline: float) -> Done | None:
    """Run it; None where it does not end in time, or prints without end. What cannot be run is the caller's to tell."""
    process = subprocess.Popen(  # noqa: S603  a list of words: no shell reads them
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with _guard:
        _running.add(process)
    try:
        with process:
            out, errors = _read_both(process, time.monotonic() + deadline)
            if out is None:
                _end(process)
                return None
            return Done(process.wait(), out, errors.decode(errors="replace"))
    except BaseException:
        _end(process)
        raise
    finally:
        with _guard:
            _running.discard(process)


def end_programs() -> None:
    """End all that run now, in whatever thread."""
    with _guard:
        for process in _running:
            if process.returncode is None:
                _end(process)


def _read_both(process: subprocess.Popen[bytes], until: float) -> tuple[bytes | None, bytes]:
    """Both of its streams until they end; None after the deadline, or where there is too much."""
    found = (bytearray(), bytearray())
    with selectors.DefaultSelector() as selector:
        for stream, kept in zip((process.stdout, process.stderr), found, strict=True):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ, kept)
        while selector.get_map():
            left = until - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                return None, b""
            for key, _ in ready:
                data = os.read(key.fd, _AT_ONCE)
                if not data:
                    selector.unregister(key.fileobj)
                key.data.extend(data[: LARGEST + 1 - len(key.data)])
                if len(found[0]) > LARGEST:
                    return None, b""
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, until - time.monotonic()))
    if process.poll() is None:
        return None, b""
    return bytes(found[0]), bytes(found[1][:_ERRORS])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it has started; a plugin for logging in may hang, too."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError):
        process.kill()
