"""A run of `passgate` as a process, and what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

PASSGATE = str(Path(sys.prefix) / "bin" / "passgate")


class Run(NamedTuple):
    """What one took."""

    seconds: float
    busy: float
    """Seconds of processors, of all processes together."""
    megabytes: float
    """Of the largest process."""
    code: int
    """As it ended."""


def compile_sources() -> None:
    """Make the bytecode that every installation has; else each start may have to compile again."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", "xml", "hostdev", "hooksidecar", "bench"], check=True)


def run_passgate(*words: str) -> Run:
    """Run it with these words; what it prints is not looked at."""
    return run(PASSGATE, *words)


def run(*command: str, stdin: int = subprocess.DEVNULL) -> Run:
    """Run a program to its end."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, process.returncode)
