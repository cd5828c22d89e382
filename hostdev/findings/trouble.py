"""A row of the tables that no finding is made of: what others say when no check of ours can see why, and our errors."""

from __future__ import annotations

from typing import NamedTuple


class Trouble(NamedTuple):
    """A row that is explained like a finding; it has no severity, since no check finds it."""

    code: str
    title: str
    hint: str
    cause: str = ""
    remedy: str = ""
    says: tuple[str, ...] = ()
    """The words that people paste when they meet it."""
    look: str = ""
    """The command that shows more."""
