"""Passgate's own commands, run on the passthrough host as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.vmhost.inside.scenario import expect

COMMAND = (sys.executable, "-c", "from hostdev.cli.main import run; raise SystemExit(run())")


def passgate(*arguments: str, given: str = "", code: int = 0) -> str:
    """Run a command that ends as expected; what it prints."""
    done = subprocess.run([*COMMAND, *arguments], input=given, capture_output=True, text=True, check=False)
    expect(done.returncode == code, f"passgate {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def passgate_json(*arguments: str, code: int = 0) -> Mapping[str, Any]:
    """The same, of a command that prints JSON."""
    read: Mapping[str, Any] = json.loads(passgate(*arguments, "-o", "json", code=code))
    return read
