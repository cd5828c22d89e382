"""A repository of a thousand manifests, linted and planned by one process: time and memory.

`python -m bench.manifests`.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.command import run_passgate
from bench.table import Goal, goals

MANIFESTS = 1000
MOST_SECONDS = {"lint": 5.0, "plan": 20.0}
MOST_MEGABYTES = 150.0
TURNS = {"lint": 5, "plan": 3}
EXAMPLE = Path("deploy/examples/qat/vm.yaml")


def run() -> str:
    """Lint and plan a thousand copies of an example, each with a name of its own."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        text = EXAMPLE.read_text(encoding="utf-8")
        for number in range(MANIFESTS):
            (directory / f"vm-{number:04}.yaml").write_text(
                text.replace("name: crypto", f"name: crypto-{number}"), encoding="utf-8"
            )
        return "\n\n".join(_measured(command, directory, len(text.splitlines())) for command in MOST_SECONDS)


def _measured(command: str, directory: Path, lines: int) -> str:
    turns = [run_passgate(command, str(directory), "-o", "json") for _ in range(TURNS[command])]
    seconds = statistics.median(one.seconds for one in turns)
    busy = statistics.median(one.busy for one in turns)
    megabytes = max(one.megabytes for one in turns)
    most = MOST_SECONDS[command]
    aims = [
        Goal(f"{MANIFESTS} manifests in {most:.0f} s", f"{seconds:.2f} s", seconds <= most),
        Goal(f"within {MOST_MEGABYTES:.0f} MB", f"{megabytes:.0f} MB", megabytes <= MOST_MEGABYTES),
    ]
    title = f"passgate {command} of {MANIFESTS} manifests of {lines} lines, {len(turns)} turns"
    return f"{title}\n  {seconds:.2f} s, of which {busy:.2f} s on the processor; {megabytes:.0f} MB\n{goals(aims)}"


if __name__ == "__main__":
    sys.stdout.write(run() + "\n")
