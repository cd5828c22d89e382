"""The real server in a process of its own, with a mount and an environment as in a pod."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from domxml.errors import BadInput, Refused
from hooksidecar.places import ALLOCATION_FILE

CONTAINER = "hook-sidecar-0"
GIVEN = ("HOME", "LANG", "PATH", "PYTHONPATH", "TMPDIR")
"""What of our environment it gets: no variable of a device plugin, as in a pod."""
LAST = 5.0
"""Seconds to end after it was told to."""


class Server:
    """Runs while the `with` block lasts."""

    def __init__(self, flags: Iterable[str], allocation: bytes) -> None:
        self._base = Path(tempfile.mkdtemp(prefix="passgate-"))
        self.mount = str(self._base / CONTAINER)
        if allocation:
            file = Path(self.mount, ALLOCATION_FILE)
            file.parent.mkdir(parents=True)
            file.write_bytes(allocation)
        Path(self.mount).mkdir(exist_ok=True)
        self._command = [sys.executable, "-m", "hooksidecar.main", "--socket-dir", self.mount, *flags]
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        environment = {name: os.environ[name] for name in GIVEN if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603  our own module
            self._command, env={**environment, "CONTAINER_NAME": CONTAINER}
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        shutil.rmtree(self._base)

    def check(self) -> None:
        """It must be alive: a container of a virt-launcher pod is never started again."""
        code = self._process.poll()
        if code is not None:
            raise Refused("sidecar-ended", f"the sidecar ended with {code}", hint="see what it said above")

    def ended(self) -> int:
        """Wait for the end that it was told of."""
        try:
            return self._process.wait(LAST)
        except subprocess.TimeoutExpired:
            raise Refused("sidecar-stays", f"the sidecar did not end within {LAST:.0f} s of Shutdown") from None


def read(path: str) -> bytes:
    """A file of the command line."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadInput("unreadable-file", f"cannot read it: {error.strerror}", subject=path) from None
