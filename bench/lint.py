"""A repository of a thousand manifests, linted by one process: time and memory.

`python -m bench.lint`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.table import Goal, goals

MANIFESTS = 1000
MOST_SECONDS, MOST_MEGABYTES = 5.0, 150.0
TURNS = 5
EXAMPLE = Path("deploy/examples/qat/vm.yaml")
PASSGATE = str(Path(sys.prefix) / "bin" / "passgate")


def run() -> str:
    """Lint a thousand copies of an example, each with a name of its own."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        text = EXAMPLE.read_text(encoding="utf-8")
        for number in range(MANIFESTS):
            (directory / f"vm-{number:04}.yaml").write_text(
                text.replace("name: crypto", f"name: crypto-{number}"), encoding="utf-8"
            )
        turns = [_turn(directory) for _ in range(TURNS)]
    seconds = statistics.median(wall for wall, _, _ in turns)
    busy = statistics.median(cpu for _, cpu, _ in turns)
    megabytes = max(memory for _, _, memory in turns)
    aims = [
        Goal(f"{MANIFESTS} manifests in {MOST_SECONDS:.0f} s", f"{seconds:.2f} s", seconds <= MOST_SECONDS),
        Goal(f"within {MOST_MEGABYTES:.0f} MB", f"{megabytes:.0f} MB", megabytes <= MOST_MEGABYTES),
    ]
    lines = len(text.splitlines())
    title = f"Linting {MANIFESTS} manifests of {lines} lines, {TURNS} turns"
    return f"{title}\n  {seconds:.2f} s, of which {busy:.2f} s on the processor; {megabytes:.0f} MB\n{goals(aims)}"


def _turn(directory: Path) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and megabytes of one run."""
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        [PASSGATE, "lint", str(directory), "-o", "json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    sys.stdout.write(run() + "\n")
