"""One writer at a time: the command line, a systemd unit and the agent share one lock."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domxml.errors import NotPermitted, Refused

STATE_DIR = "/var/lib/passgate"
PATIENCE = 20.0
"""Seconds until another writer must have come to an end."""
_PAUSE = 0.05


@contextmanager
def hold_lock(state_dir: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Be the only one that writes; the kernel lets the lock go with the process, however that ends."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "run it as root, or name a directory that can be written with --state-dir"
        message = f"the journal cannot be kept there: {error.strerror}"
        raise NotPermitted("journal-unwritable", message, subject=str(state_dir), hint=hint) from None
    try:
        _take(fd, state_dir, patience)
        os.pwrite(fd, f"{os.getpid():<10}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _take(fd: int, state_dir: Path, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EINTR}:
                raise
        else:
            return
        if time.monotonic() > until:
            who = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            what = f"another passgate (PID {who}) is changing this host"
            raise Refused("host-busy", what, subject=str(state_dir), hint="wait for it to end, and try again")
        time.sleep(_PAUSE)
