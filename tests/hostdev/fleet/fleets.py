"""Directories of snapshots for tests: recorded machines under the names of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.hostdev.machines.fixtures import fixture

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def snapshot_text(machine: str, *, taken: datetime | None = None, boot: str = "") -> str:
    """A recorded machine as a snapshot of now writes it."""
    head = [f'taken = "{taken:%Y-%m-%dT%H:%M:%SZ}"\n'] if taken else []
    head += [f'boot = "{boot}"\n'] if boot else []
    return fixture(machine).read_text().replace("format = 1\n", "".join(["format = 1\n", *head]))


def write_fleet(directory: Path, nodes: Mapping[str, str], **head: str) -> Path:
    """Write a snapshot for each node, of the recorded machine that is named."""
    directory.mkdir(parents=True, exist_ok=True)
    for node, machine in nodes.items():
        (directory / f"{node}.toml").write_text(snapshot_text(machine, taken=NOW - HOUR, **head))
    return directory
