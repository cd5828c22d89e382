"""Two hundred nodes, and a thousand: time, memory and growth of every command of `passgate fleet`.

`python -m bench.fleet`. The nodes are the recorded machines in turn, each with a kernel, a boot and devices held of
its own; then the largest two of them alone, with 60 functions a node.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.command import Run, run_passgate
from bench.table import Goal, goals

NODES, MANY = 200, 1000
MOST_SECONDS, MOST_MEGABYTES = 2.0, 150.0
MOST_GROWTH = 6.0
"""Five times as many nodes, and a fifth for noise."""
TURNS = 5
MACHINES = Path("tests/fixtures/machines")
LARGE = ("hgx-h100", "qat")
VM = ("tests/fixtures/fleet/vm.yaml", "tests/fixtures/fleet/kubevirt.yaml")
JSON = ("-o", "json")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("list", *JSON),
    ("find", "class=gpu", "ready", *JSON),
    ("why", *VM, *JSON),
    ("capacity", *VM, *JSON),
    ("compare", *JSON),
    ("list", "--html", os.devnull),
)


def run() -> str:
    """Measure every command."""
    recorded = sorted(file.stem for file in MACHINES.glob("*.toml"))
    with TemporaryDirectory() as name:
        parts = [_of_size(Path(name), "recorded", recorded), _of_size(Path(name), "large", LARGE)]
    return "\n\n".join(parts)


def _of_size(directory: Path, word: str, machines: Sequence[str]) -> str:
    few, many = (make_fleet(directory / f"{word}-{count}", machines, count) for count in (NODES, MANY))
    lines = [f"  {f'passgate fleet, {word} machines':<36} {NODES:>4} nodes      processors     memory   {MANY} nodes"]
    aims = []
    for words in COMMANDS:
        turns, more = ([_turn(words, fleet) for _ in range(TURNS)] for fleet in (few, many))
        seconds, busy = (statistics.median(getattr(one, key) for one in turns) for key in ("seconds", "busy"))
        megabytes = max(one.megabytes for one in (*turns, *more))
        growth = statistics.median(one.busy for one in more) / busy
        name = "the page" if "--html" in words else words[0]
        lines.append(f"  {name:<36} {seconds:>8.2f} s  {busy:>10.2f} s  {megabytes:>7.0f} MB   {growth:>7.1f}x")
        met = seconds <= MOST_SECONDS and megabytes <= MOST_MEGABYTES and growth <= MOST_GROWTH
        promise = f"{name} of {NODES} in {MOST_SECONDS:.0f} s, {MOST_MEGABYTES:.0f} MB, growth to {MANY} linear"
        aims.append(Goal(promise, f"{seconds:.2f} s, {megabytes:.0f} MB, {growth:.1f}x", met))
    return "\n".join([*lines, goals(aims)])


def make_fleet(directory: Path, machines: Sequence[str], count: int) -> Path:
    """Write variations of recorded machines under the names of nodes; and beside it the same with a newer kernel."""
    newer = _newer(directory)
    directory.mkdir()
    newer.mkdir()
    texts = [(MACHINES / f"{name}.toml").read_text(encoding="utf-8") for name in machines]
    for number in range(count):
        head = f'format = 1\ntaken = "2026-11-28T10:{number % 60:02}:00Z"\nboot = "{number:032x}"\n'
        text = texts[number % len(texts)].replace("format = 1\n", head, 1)
        text = text.replace('enable = "0"', 'enable = "1"', number % 5)
        text = text.replace('osrelease = "', f'osrelease = "{number % 3}-', 1)
        (directory / f"worker-{number:04}.toml").write_text(text, encoding="utf-8")
        text = text.replace('osrelease = "', 'osrelease = "9-', 1)
        (newer / f"worker-{number:04}.toml").write_text(text, encoding="utf-8")
    return directory


def _newer(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}-newer")


def _turn(words: Sequence[str], fleet: Path) -> Run:
    where = (str(fleet), str(_newer(fleet))) if words[0] == "compare" else ("--from", str(fleet))
    return run_passgate("fleet", *words, *where)


if __name__ == "__main__":
    sys.stdout.write(f"{run()}\n")
