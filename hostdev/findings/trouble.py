"""A row of the tables that no finding is made of: what others say when no check of ours can see why, and our errors."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Nature(StrEnum):
    """What a text is to its reader."""

    CAUSE = "cause"
    WRAPPER = "wrapper"
    """It only passes on that something failed; the reason stands in another line."""
    HARMLESS = "harmless"


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
    nature: Nature = Nature.CAUSE
    issues: tuple[str, ...] = ()
    """Where it is known upstream, open or settled: `owner/name#number`."""
    mended: tuple[str, ...] = ()
    """The first release of each branch in which it does not happen any more: `KubeVirt 1.8.3`."""
