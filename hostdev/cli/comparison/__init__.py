"""What is different between two pictures of a machine: what an upgrade, a new card or a reboot did."""

from __future__ import annotations

from hostdev.cli.comparison import device, host
from hostdev.cli.comparison.change import Change
from hostdev.cli.comparison.pairing import paired
from hostdev.machine import Machine

__all__ = ["Change", "compare"]


def compare(old: Machine, new: Machine) -> tuple[Change, ...]:
    """Every difference, the worst first."""
    pairs = paired(old, new)
    changes = [*host.changes(old, new, pairs), *device.changes(old, new, pairs)]
    return tuple(sorted(changes, key=lambda change: -change.severity.rank))
