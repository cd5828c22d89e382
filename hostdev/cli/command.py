"""What a command is: a row of the table from which parser, help, completion and man pages are made.

Named tuples, since the machinery of dataclasses costs a third of the time that `--help` takes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple


class Complete(Enum):
    """What a shell offers for an argument that has no choices."""

    NOTHING = auto()
    FILE = auto()
    DIRECTORY = auto()
    ADDRESS = auto()
    CODE = auto()


class Argument(NamedTuple):
    """One option (its spellings) or one positional argument (its name in capitals)."""

    names: tuple[str, ...]
    help: str
    metavar: str = ""
    default: str | float | None = None
    choices: tuple[str, ...] = ()
    nargs: str = ""
    """As argparse has it: empty for exactly one, `?`, `*` or `+`."""
    repeat: bool = False
    """Each use adds to a list."""
    flag: bool = False
    """Present or not; takes no value."""
    type: Callable[[str], object] | None = None
    complete: Complete = Complete.NOTHING

    @property
    def option(self) -> bool:
        """Whether it is spelled with dashes."""
        return self.names[0].startswith("-")

    @property
    def dest(self) -> str:
        """Its name in the parsed namespace."""
        return self.names[-1].lstrip("-").replace("-", "_").lower()

    @property
    def value(self) -> str:
        """How help texts name its value."""
        if self.flag:
            return ""
        if self.choices and not self.metavar:
            return "|".join(self.choices)
        return self.metavar or self.dest.upper().replace("_", "-")

    @property
    def synopsis(self) -> str:
        """How a usage line shows it."""
        if self.option:
            inner = f"{self.names[0]} {self.value}".strip()
            return f"[{inner}]" + ("…" if self.repeat else "")
        return {"": "{}", "?": "[{}]", "*": "[{}…]", "+": "{}…"}[self.nargs].format(self.value)


class Command(NamedTuple):
    """A command: its words, what it does, what it takes, and the function that runs it (`module:function`)."""

    name: str
    summary: str
    description: str
    arguments: tuple[Argument, ...] = ()
    run: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    """Pairs of a command line and what it is for."""

    @property
    def options(self) -> tuple[Argument, ...]:
        """The arguments spelled with dashes."""
        return tuple(argument for argument in self.arguments if argument.option)

    @property
    def positionals(self) -> tuple[Argument, ...]:
        """The arguments told by their place."""
        return tuple(argument for argument in self.arguments if not argument.option)
