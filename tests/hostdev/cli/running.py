"""Running `passgate` as its own process, and the machines it runs on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from domxml.errors import Refused
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan

ROOT = Path(__file__).parents[3]
MACHINES = ROOT / "tests/fixtures/machines"
PCI_IDS = "tests/hostdev/cli/pci.ids"
"""A list of names of our own, so that answers do not depend on the system's."""
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Root that may do no more than its files let it. Another user might not even reach this directory."""
COMMAND = [sys.executable, "-m", "hostdev.cli.main"]


@dataclass(frozen=True)
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str


def host(name: str) -> tuple[str, str]:
    """The words that make a command look at a recorded machine."""
    return "--host", f"tests/fixtures/machines/{name}.toml"


@cache
def machine(name: str, *, bars: bool = False, health: bool = False) -> Machine:
    """The picture of a recorded machine."""
    with open_host(MACHINES / f"{name}.toml") as opened:
        return replace(scan(opened, bars=bars, health=health), source=host(name)[1])


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process that finds our packages and nothing special."""
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "TERM"}}
    return {**kept, "PYTHONPATH": f"{ROOT}:{ROOT / 'xml'}", **changes}


def process(
    *words: str, stdin: str = "", line: str = "", env: Mapping[str, str] | None = None, nobody: bool = False
) -> Ran:
    """Run a command line as its own process.

    `line` is a line of sh in which "$@" is the command; `nobody` runs without the rights of root.
    """
    command = ["sh", "-c", line, "sh", *COMMAND, *words] if line else [*COMMAND, *words]
    if nobody and os.geteuid() == 0:
        command = [*WITHOUT_RIGHTS, *command]
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        cwd="/" if nobody else ROOT,
        env=environment(**(env or {})),
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def doctor(name: str, address: str) -> list[str]:
    """The sentences of the errors that the command line finds."""
    ran: Ran = process("node", "doctor", address, *host(name), "-o", "json")
    found = [item for item in json.loads(ran.out)["items"] if item["severity"] == "error"]
    return [
        Refused(item["code"], item["message"], subject=item["subject"], hint=item["hint"]).sentence() for item in found
    ]
