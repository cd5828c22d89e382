"""The table of commands."""

from __future__ import annotations

from hostdev.cli.commands import change, cluster, fleet, inject, node, shell

GROUPS = {
    "": "Gives PCI devices of the host to VMs, and gates what must not be given.",
    "node": "Look at this node's PCI devices, or at a recorded machine's.",
    "fleet": "Look at many nodes at once, by their snapshots.",
    "node state": "Declare which drivers and VFs this node shall have, and make it so.",
}
"""The words that only lead to other commands."""

_FAMILIES = (inject, cluster, node, change, fleet, shell)
COMMANDS = {command.name: command for family in _FAMILIES for command in family.COMMANDS}
"""Every command by its words, in the order of reading."""

TOPICS = {
    "devices": "how a device is named",
    "settings": "what may follow a device after commas, and in the annotation",
    "exit-codes": "how commands end",
    "habits": "what other programs call things, and is understood",
}
"""What `passgate help` tells beside commands."""

PROGRAMS = (
    "hooksidecar.options:PROGRAM",
    "hooksidecar.rehearsal.command:PROGRAM",
    "hooksidecar.agent.options:PROGRAM",
    "hooksidecar.claims.options:PROGRAM",
    "hooksidecar.shim:PROGRAM",
)
"""The rows of the other programs, where they are installed: this floor knows their names alone."""


def below(prefix: str) -> tuple[str, ...]:
    """The words that can follow a prefix: `node` and the plain commands after nothing, `list`, … after `node`."""
    start = f"{prefix} " if prefix else ""
    rest = (name.removeprefix(start).split(" ")[0] for name in COMMANDS if name.startswith(start))
    return tuple(dict.fromkeys(rest))
