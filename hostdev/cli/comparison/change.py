"""One difference between two machines."""

from __future__ import annotations

from dataclasses import dataclass

from domxml.finding import Severity


@dataclass(frozen=True, slots=True)
class Change:
    """What changed; `subject` is an address, a group, or `host`, as the newer machine calls it."""

    code: str
    severity: Severity
    subject: str
    message: str
    old: str | None = None
    new: str | None = None
