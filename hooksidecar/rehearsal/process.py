"""The real server in a process of its own, with a mount and an environment as in a pod."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from domxml.errors import BadInput, Refused
from hooksidecar.container import ALLOCATION_FILE
from hooksidecar.rehearsal.plugin import SOCKET

CONTAINER = "hook-sidecar-0"
PLACE = "{}"
"""Stands for the directory of the socket in a command."""
OWN = (sys.executable, "-P", "-m", "hooksidecar.main", "--socket-dir", PLACE)
"""Our own server, as a module."""
OWN_PLUGIN = (*OWN[:4], "--mode", "plugin", "--plugin-socket", f"{PLACE}/{SOCKET}")
"""The same as a Plugin's sidecar."""
LOG = "log"
GIVEN = ("HOME", "LANG", "PATH", "PYTHONPATH", "TMPDIR")
"""What of our environment it gets: no variable of a device plugin, as in a pod."""
ENDING = (signal.SIGINT, signal.SIGTERM)
LAST = 5.0
"""Seconds to end after it was told to."""


class Server:
    """Runs while the `with` block lasts."""

    def __init__(self, flags: Sequence[str] = (), allocation: bytes = b"", command: Sequence[str] = OWN) -> None:
        self.mount = ""
        self.log: tuple[str, ...] = ()
        """What it said on standard error, once it has ended."""
        self._allocation = allocation
        self._command = (*command, *flags)
        self._foreign = command not in (OWN, OWN_PLUGIN)
        self._base: Path
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._base = Path(tempfile.mkdtemp(prefix="passgate-"))
        try:
            self._lay_out(self._base / CONTAINER)
            with _undisturbed():
                self._process = self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.log = tuple((self._base / LOG).read_text(errors="replace").splitlines())
        shutil.rmtree(self._base)

    def _lay_out(self, mount: Path) -> None:
        mount.mkdir()
        if self._foreign:
            # It may serve as any user, and a container's is not ours: kubelet opens the directory in the same way.
            self._base.chmod(0o711)
            mount.chmod(0o777)
        self.mount = str(mount)
        if self._allocation:
            file = mount / ALLOCATION_FILE
            file.parent.mkdir(parents=True)
            file.write_bytes(self._allocation)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in GIVEN if name in os.environ}
        words = [word.replace(PLACE, self.mount) for word in self._command]
        with (self._base / LOG).open("wb") as log:
            try:
                return subprocess.Popen(  # noqa: S603  our own module, or what the user wants rehearsed
                    words,
                    env={**environment, "CONTAINER_NAME": CONTAINER},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            except OSError as error:
                hint = "name a program that is there and may be run"
                raise BadInput(
                    "bad-usage", f"cannot be started: {error.strerror}", subject=words[0], hint=hint
                ) from None

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not entered"  # noqa: S101
        return self._process

    def check(self, patience: float = 0.0) -> None:
        """Raise unless it is alive: a container of a virt-launcher pod is never started again."""
        try:
            code = self._running.wait(patience)
        except subprocess.TimeoutExpired:
            return
        raise Refused("sidecar-ended", f"the sidecar ended with {code}", hint="see what it said above")

    def terminate(self) -> None:
        """End it as kubelet does at the end of a pod."""
        self._running.terminate()

    def ended(self) -> int:
        """Wait for the end that it was told of."""
        try:
            return self._running.wait(LAST)
        except subprocess.TimeoutExpired:
            raise Refused("sidecar-stays", f"the sidecar did not end within {LAST:.0f} s of its Shutdown") from None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """An interrupt waits until the process that is being started is known, and can be ended."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
