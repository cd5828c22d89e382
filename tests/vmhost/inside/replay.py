"""What the live host says, kept beside its snapshot, for a machine that has never seen it to say the same."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.vmhost.inside.devices import DISPLAY, PF, VF

DIRECTORY = "machine"
"""Below the share."""
SNAPSHOT = "snapshot.toml"
NAMES = "pci.ids"
LIVE = "/"
_NAMED = ("--pci-ids", NAMES)

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "list": ("list", "-o", "json", *_NAMED),
    "list-wide": ("list", "-o", "wide", *_NAMED),
    "groups": ("groups", "-o", "json"),
    "groups-table": ("groups", *_NAMED),
    "doctor": ("doctor", str(VF), str(PF), str(DISPLAY), "-o", "json"),
    "show": ("show", str(PF), "-o", "json", *_NAMED),
    "draw": ("draw", *_NAMED),
}
"""Subcommands of `passgate node`, to be run in the directory, with `--host` before all that follows."""
FAILING = frozenset({"doctor"})
"""End in 1: two of its devices must not be passed."""


def command(name: str, host: str) -> tuple[str, ...]:
    """The arguments of passgate."""
    subcommand, *rest = COMMANDS[name]
    return ("node", subcommand, "--host", host, *rest)


def prepare(share: Path) -> Path:
    """Make the directory, with the names of PCI devices that this host knows."""
    directory = share / DIRECTORY
    directory.mkdir()
    shutil.copy("/usr/share/misc/pci.ids", directory / NAMES)
    return directory
