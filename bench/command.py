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


def run_passgate(*words: str) -> Run:
    """Run it with these words; what it prints is not looked at."""
    begun = time.perf_counter()
    process = subprocess.Popen([PASSGATE, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return Run(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
