"""One process of a driver publishes on a node: the older one until it ends, and then the newer one at once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from domxml.errors import NotPermitted

NAME = "publisher.lock"


class Turn:
    """A lock that the kernel gives on when its process has ended, however that ended: no clock, no heartbeat."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._fd: int | None = None

    def take(self) -> bool:
        """Whether it is ours."""
        if self._fd is None:
            self._fd = self._locked()
        return self._fd is not None

    def give_up(self) -> None:
        """Let another process have it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _locked(self) -> int | None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            hint = "mount the driver's directory below kubelet's, writable, at the same path"
            raise NotPermitted("lock-impossible", f"{error.strerror}", subject=str(self.path), hint=hint) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd
