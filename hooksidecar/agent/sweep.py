"""A sweep: one look at what kubelet granted, and what was done for each pod."""

from __future__ import annotations

from typing import NamedTuple

from domxml.finding import Finding
from hostdev.kubelet.grant import Grant
from hostdev.machine import Machine


class Sweep(NamedTuple):
    """What one sweep saw and did."""

    grants: tuple[Grant, ...] = ()
    machine: Machine | None = None
    findings: tuple[Finding, ...] = ()
    dropped: int = 0
    """Files that were written."""
    kept: int = 0
    """Files that were as they should be."""
    removed: int = 0
    """Files whose grant is gone."""
    failed: int = 0
    """Files that could not be written or removed; each has a finding."""
    seconds: float = 0.0
