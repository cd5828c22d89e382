"""A child process with libvirt in it: asked and answered by lines, killed when silent, started again when dead."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.oracle.roots import ISOLATED, Root
from tests.oracle.slot import Slot

CHILD = Path(__file__).with_name("child.py").read_text()
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "LIBVIRT_LOG_OUTPUTS": "4:stderr"}
CHUNK = 1 << 16


class Died(Exception):
    """The child ended instead of answering."""


class Silent(Exception):
    """The child did not answer in time and was killed."""


def python_of(root: Root, before: str = "") -> tuple[str, ...]:
    """The command that runs the root's Python in it, after these lines of shell, for which the root is `$1`."""
    # QEMU detaches when libvirt probes it: without a reaper as PID 1 libvirt waits half a minute for a zombie.
    reaper = ("sh", "-c", f'{before}\nchroot "$@"; exit $?', "sh")
    return (*ISOLATED, f"--mount-proc={root.path}/proc", *reaper, str(root.path), "/usr/bin/python3")


class Worker:
    """Runs the child in a slot of its own while the `with` block lasts."""

    def __init__(self, root: Root, *, timeout: float, before: str = "") -> None:
        self.version = 0
        self._before = before
        self._root = root
        self._timeout = timeout
        self._slot: Slot
        self._child: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        self._slot = Slot.take(self._root.path)
        try:
            self._start()
        except BaseException:
            self._slot.lock.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self._slot.lock.close()

    @property
    def pid(self) -> int:
        """The process that takes the child and all of its QEMUs with it: PID 1 of the namespace that unshare made."""
        unshare = self._child.pid
        children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
        return int(children[0]) if children else unshare

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request, return its answer; after `Died` or `Silent` the next request finds a fresh child."""
        try:
            self._write(json.dumps(request).encode() + b"\n")
            return self._read()
        except (Died, Silent):
            self._kill()
            self._start()
            raise

    def _start(self) -> None:
        self._slot.clear()
        command = [*python_of(self._root, self._before), "-I", "-c", CHILD]
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                [*command, self._slot.inside],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=ENVIRONMENT,
                pass_fds=[self._slot.lock.fileno()],
                start_new_session=True,
            )
        try:
            self.version = self._read()["libvirt"]
        except (Died, Silent) as error:
            raise RuntimeError(f"libvirt of {self._root.suite.name} does not start: {error}") from error
        except BaseException:
            self._kill()
            raise

    def _write(self, data: bytes) -> None:
        assert self._child.stdin is not None
        try:
            while data:
                data = data[os.write(self._child.stdin.fileno(), data) :]
        except BrokenPipeError as error:
            raise Died(self._obituary()) from error

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        deadline = time.monotonic() + self._timeout
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise Silent(f"no answer within {self._timeout:g} s")
                chunk = os.read(self._child.stdout.fileno(), CHUNK)
                if not chunk:
                    raise Died(self._obituary())
                line += chunk
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _obituary(self) -> str:
        status = self._child.wait()
        complaints = self._log.read_text(errors="replace").splitlines()[-3:]
        return "; ".join([f"exit status {status}", *complaints])

    def _kill(self) -> None:
        if self._child.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        # PID 1 of a namespace outlasts everybody in it: after this nobody uses the slot any more.
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            pipe.close()

    @property
    def _log(self) -> Path:
        return self._slot.directory.with_suffix(".log")
