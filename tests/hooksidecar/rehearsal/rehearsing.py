"""The rehearsal as a process, the way a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from hooksidecar.rehearsal.process import PLACE, Server
from hooksidecar.rehearsal.report import Report
from tests.domxml.domains import FOLDER
from tests.hooksidecar.sidecar import environment
from tests.hostdev.cli.validator import errors, schema

Ran = subprocess.CompletedProcess[str]


def files(name: str) -> tuple[str, ...]:
    """The options that name a fixture's VM."""
    return ("--vmi", str(FOLDER / f"{name}.vmi.json"), "--domain", str(FOLDER / f"{name}.xml"))


def rehearse(*words: str, user: Callable[[], None] | None = None, **env: str) -> Ran:
    """Run the command."""
    command = [sys.executable, "-P", "-m", "hooksidecar.main", "rehearse", *words]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(**env),
        check=False,
        timeout=120,
        preexec_fn=user,
    )


def actor(name: str) -> Server:
    """A sidecar that does not do what it should."""
    return Server(command=(sys.executable, "-P", "-m", "tests.hooksidecar.actors", name, "--socket-dir", PLACE))


def document(ran: Ran | Report) -> Any:
    """What it reported as JSON, once held against the schema."""
    found = ran.document() if isinstance(ran, Report) else json.loads(ran.stdout)
    assert list(errors(json.loads(json.dumps(found)), schema("rehearsal.json"))) == []
    return found
