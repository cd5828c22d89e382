"""A sidecar process of its own, started as in a pod: its mount, its environment, its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.hooksidecar.client import Client
from tests.hooksidecar.procfs import read_status
from tests.patience import PATIENCE, until

ROOT = Path(__file__).parents[2]
NAME = "hook-sidecar-0"


def environment(**more: str) -> dict[str, str]:
    """What KubeVirt gives to the container, and where our modules are."""
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    return {**kept, "PYTHONPATH": f"{ROOT}:{ROOT / 'xml'}", "CONTAINER_NAME": NAME, **more}


class Sidecar:
    """Runs while the `with` block lasts. `core` names one of tests.hooksidecar.domainhooks; empty is the real one."""

    def __init__(
        self, mount: Path, core: str, *flags: str, env: Mapping[str, str] | None = None, log: int | None = None
    ) -> None:
        self.mount = mount
        self.path = mount / f"{NAME}.sock"
        self._log = mount.parent / f"{mount.name}.{time.monotonic_ns()}.log"
        program = ["tests.hooksidecar.domainhooks", core] if core else ["hooksidecar.main"]
        self.command = [sys.executable, "-m", *program, "--socket-dir", str(mount), *flags]
        self._stderr = log
        self._env = environment() if env is None else dict(env)
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._log.open("wb") as file:
            log = file if self._stderr is None else self._stderr
            self.process = subprocess.Popen(self.command, stderr=log, env=self._env, cwd=self.mount.parent)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def ready(self) -> Client:
        """Wait for the socket."""
        until(self._is_there, lambda: "no socket")
        return Client(str(self.path))

    def _is_there(self) -> bool:
        assert self.path.exists() or self.process.poll() is None, self.log_text()
        return self.path.exists()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; the exit code, and the seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE), time.monotonic() - begun

    def log_text(self) -> str:
        return self._log.read_text()

    def log(self) -> list[dict[str, Any]]:
        """Every line of the log."""
        return [json.loads(line) for line in self.log_text().splitlines()]

    def said(self, message: str) -> list[dict[str, Any]]:
        """The lines of the log with this message."""
        return [line for line in self.log() if line["msg"] == message]

    def status(self, key: str) -> int:
        """A number of /proc/PID/status, such as VmRSS or Threads."""
        return int(read_status(self.process.pid, key))

    def files(self) -> int:
        """How many files it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


Start = Callable[..., Sidecar]


def names(directory: Path) -> list[str]:
    """What is in a directory."""
    return sorted(path.name for path in directory.iterdir())
