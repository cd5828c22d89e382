"""From the words after a command of `passgate` to its arguments."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from hostdev.argumentparser import read_arguments
from hostdev.commandline import Command


def parse(command: Command, rest: Sequence[str]) -> argparse.Namespace:
    """Read the arguments of a command into a namespace."""
    return argparse.Namespace(**read_arguments(command, rest))
