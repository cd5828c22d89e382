"""Passgate's own commands, run on the passthrough host as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.vmhost.inside.scenario import expect

PASSGATE = (sys.executable, "-c", "from hostdev.cli.main import run; raise SystemExit(run())")
PASSGATE_HOOK = (sys.executable, "-m", "hooksidecar.main")


class Said(NamedTuple):
    """What a command printed."""

    output: str
    errors: str


def passgate(*arguments: str, given: str = "", code: int = 0) -> str:
    """Run a command that ends as expected; what it prints."""
    return _run((*PASSGATE, *arguments), given, code).output


def passgate_json(*arguments: str, code: int = 0) -> Mapping[str, Any]:
    """The same, of a command that prints JSON."""
    read: Mapping[str, Any] = json.loads(passgate(*arguments, "-o", "json", code=code))
    return read


def refusal(*arguments: str, given: str) -> str:
    """The sentence with which `passgate inject` refuses."""
    errors = _run((*PASSGATE, "inject", *arguments), given, 5).errors
    sentences = [line for line in errors.splitlines() if line.startswith("error: ")]
    expect(len(sentences) == 1, f"one sentence should tell why, there are {len(sentences)}:\n{errors}")
    return sentences[0].removeprefix("error: ")


def passgate_hook(*arguments: str) -> str:
    """Run passgate-hook; what it prints."""
    return _run((*PASSGATE_HOOK, *arguments), "", 0).output


def _run(command: tuple[str, ...], given: str, code: int) -> Said:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    shown = " ".join(command[command.index("-m") if "-m" in command else 3 :])
    expect(done.returncode == code, f"{shown} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
    return Said(done.stdout, done.stderr)
