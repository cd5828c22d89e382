"""From the words after a command of `passgate` to its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from hostdev.argumentparser import read_arguments
from hostdev.commandline import Command

if TYPE_CHECKING:
    import argparse


def parse(command: Command, rest: Sequence[str]) -> argparse.Namespace:
    """Read the arguments of a command into a namespace."""
    # It is read as one alike, and argparse is not worth its import to a filter.
    return cast("argparse.Namespace", SimpleNamespace(**read_arguments(command, rest)))
