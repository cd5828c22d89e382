"""Processes of another user: they need this checkout, and the interpreter, to be readable."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.house import ROOT


def skip_unless_readable() -> None:
    """Root's home, where a checkout may lie, is closed to others on a fresh machine."""
    for path in (ROOT, Path(sys.prefix).resolve(), Path(sys.executable).resolve().parent):
        closed = [str(place) for place in (path, *path.parents) if not place.stat().st_mode & 0o001]
        if closed:
            pytest.skip(f"another user may not enter {closed[-1]}")


def skip_unless_root() -> None:
    """Only root can become another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    skip_unless_readable()
