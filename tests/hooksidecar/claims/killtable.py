"""Each effect at which the driver of claims is killed, and what mends it in each order of restarts.

`python -m tests.hooksidecar.claims.killtable` writes the tables of docs/claims-verification.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby

from tests.house import ROOT

PAGE = ROOT / "docs" / "claims-verification.md"
Row = dict[str, str]
_PLACES = (
    ("/claims/", "the record"),
    ("metadata.json", "the metadata file"),
    ("cdi/", "the CDI file"),
    ("slice", "a slice"),
    ("", "a directory"),
)


def observe() -> list[Row]:
    """Run all of it, in memory where that is possible: each effect waits for the disk."""
    memory = {"TMPDIR": "/dev/shm"} if os.access("/dev/shm", os.W_OK) else {}  # noqa: S108
    lines = []
    for module in ("killed", "killedpublishing"):
        command = [sys.executable, "-m", f"tests.hooksidecar.claims.{module}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=os.environ | memory)
        lines += done.stdout.splitlines()
    return [json.loads(line) for line in lines]


def renew(text: str, rows: Sequence[Row]) -> str:
    """The page with these tables, each below the heading of its call."""
    for call, found in groupby(rows, key=lambda row: row["call"]):
        before, heading, after = text.partition(f"## {call}\n\n")
        _, _, rest = after.partition("\n\n")
        text = f"{before}{heading}{table([*found])}\n{rest}"
    return text


def table(rows: Sequence[Row]) -> str:
    columns = [key for key in rows[0] if key not in {"call", "step", "left"}]
    lines = [f"| | killed before | what lies there | {' | '.join(columns)} |", f"|{' --- |' * (len(columns) + 3)}"]
    for number, row in enumerate(rows, 1):
        outcomes = " | ".join(row[column] for column in columns)
        lines.append(f"| {number} | {_words(row['step'])} | {row['left']} | {outcomes} |")
    return "".join(f"{line}\n" for line in lines)


def _words(step: str) -> str:
    name, path = step.split(" ", 1)
    return f"`{name}` of {next(words for part, words in _PLACES if part in path)}"


if __name__ == "__main__":
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8"), observe()), encoding="utf-8")
