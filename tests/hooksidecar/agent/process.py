"""The real agent as a process of its own, and how the fixtures make one or its state alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from hooksidecar.agent.pods import Node
from tests.hooksidecar import procfs
from tests.hooksidecar.sidecar import environment
from tests.patience import PATIENCE, until

T = TypeVar("T")


class AgentProcess:
    """Runs while the `with` block lasts."""

    def __init__(self, kubelet_dir: Path, *flags: str, host: str = "none", program: tuple[str, ...] = ()) -> None:
        self._log = kubelet_dir.parent / f"agent.{time.monotonic_ns()}.log"
        program = program or ("-m", "hooksidecar.agent.main")
        self._command = [sys.executable, *program, "--kubelet-dir", str(kubelet_dir), "--host", host, *flags]
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._log.open("wb") as file:
            self.process = subprocess.Popen(self._command, stderr=file, env=environment())
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def ready(self) -> Self:
        """Wait until it watches and has made its first sweep."""
        self.until(lambda: self.said("watching"))
        return self

    def until(self, found: Callable[[], T], seconds: float = PATIENCE) -> T:
        """Wait for something to be so."""

        def look() -> T:
            result = found()
            assert result or self.process.poll() is None, self.log_text()
            return result

        return until(look, self.log_text, seconds)

    def ended(self) -> int:
        return self.process.wait(PATIENCE)

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; the exit code, and the seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE), time.monotonic() - begun

    def cpu_seconds(self) -> float:
        """What it has used of a processor so far."""
        return procfs.cpu_seconds(self.process.pid)

    def resident(self) -> int:
        """Its memory, in KiB."""
        return int(procfs.read_status(self.process.pid, "VmRSS"))

    def log_text(self) -> str:
        return self._log.read_text()

    def said(self, message: str) -> list[dict[str, Any]]:
        lines = self.log_text().splitlines(keepends=True)
        return [line for text in lines if text.endswith("\n") and (line := json.loads(text))["msg"] == message]

    def found(self, code: str) -> list[dict[str, Any]]:
        """The findings with this code."""
        return [line for line in self.said("finding") if line["code"] == code]


StartAgent = Callable[..., AgentProcess]
NewNode = Callable[..., Node]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hooksidecar.agent.main", *words],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
