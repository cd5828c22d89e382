"""Runs `passgate` as a user does: as a process."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended, and what it printed."""

    code: int
    out: bytes
    err: str


def passgate(*arguments: str, given: bytes = b"") -> Outcome:
    """Run it with something on its standard input."""
    command = [sys.executable, "-c", "from hostdev.cli.main import run; raise SystemExit(run())", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
    return Outcome(done.returncode, done.stdout, done.stderr.decode())
