"""What a program takes: rows of the table from which parser, help, completion and man pages are made.

Named tuples, since the machinery of dataclasses costs a third of the time that `--help` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple

from domxml import errors
from domxml.errors import BadInput


class Complete(Enum):
    """The kind of words that a shell offers for an argument without choices."""

    NOTHING = auto()
    FILE = auto()
    DIRECTORY = auto()
    ADDRESS = auto()
    CODE = auto()
    SPEC = auto()
    """A device with settings after commas."""
    SELECTOR = auto()
    """A device, or what devices are like."""


class Argument(NamedTuple):
    """One option (its spellings) or one positional argument (its name in capitals)."""

    names: tuple[str, ...]
    help: str
    metavar: str = ""
    default: str | float | None = None
    choices: tuple[str, ...] = ()
    nargs: str = ""
    """As argparse has it: empty for exactly one, `?`, `*` or `+`; an option with `?` may do without its value."""
    repeat: bool = False
    """Each use adds to a list."""
    flag: bool = False
    """Present or not; takes no value."""
    required: bool = False
    dashed: bool = False
    """Its value may begin with a dash."""
    type: Callable[[str], object] | None = None
    complete: Complete = Complete.NOTHING
    takes_away: bool = False
    """It takes something away: never offered as what was probably meant."""

    @property
    def option(self) -> bool:
        """It is spelled with dashes."""
        return self.names[0].startswith("-")

    @property
    def dest(self) -> str:
        """Its name in the parsed namespace."""
        return self.names[-1].lstrip("-").replace("-", "_").lower()

    @property
    def title(self) -> str:
        """How sentences name it, where it is told by its place."""
        return self.metavar or self.names[0]

    @property
    def value(self) -> str:
        """How help texts name its value."""
        if self.flag:
            return ""
        if self.choices and not self.metavar:
            return "|".join(self.choices)
        return self.metavar or self.dest.upper().replace("_", "-")

    @property
    def spelling(self) -> str:
        """How help texts name it: `-o, --output json|yaml`."""
        return f"{', '.join(self.names)} {self.value}".strip() if self.option else self.value

    @property
    def explanation(self) -> str:
        """What it means, with its default."""
        parts = [self.help]
        if self.repeat:
            parts.append("(may be given more than once)")
        if self.default not in {None, ""} and "default" not in self.help:
            parts.append(f"(default: {self.default})")
        return " ".join(parts)

    @property
    def synopsis(self) -> str:
        """How a usage line shows it."""
        if self.option:
            inner = f"{self.names[0]} {self.value}".strip()
            return (inner if self.required else f"[{inner}]") + ("…" if self.repeat else "")
        return {"": "{}", "?": "[{}]", "*": "[{}…]", "+": "{}…"}[self.nargs].format(self.value)


HELP = Argument(("-h", "--help"), "show this text", flag=True)
VERSION = Argument(("-V", "--version"), "show the versions of passgate, Python, lxml and libxml2", flag=True)
DEBUG = Argument(("--debug",), "show a traceback when something goes wrong", flag=True)
COLOR = Argument(
    ("--color",),
    "colour the output: auto means on a terminal, or with FORCE_COLOR; a NO_COLOR in the environment always wins",
    choices=("auto", "always", "never"),
    default="auto",
)
COMMON = (DEBUG, COLOR, HELP)
"""What every command of `passgate` takes."""


class Command(NamedTuple):
    """A program, or a command of one."""

    name: str
    """The words after the program's name."""
    summary: str
    description: str
    arguments: tuple[Argument, ...] = ()
    run: str = ""
    """The function that runs it (`module:function`)."""
    examples: tuple[tuple[str, str], ...] = ()
    """Pairs of a command line and what it is for."""
    program: str = "passgate"
    general: tuple[Argument, ...] = COMMON
    """What it takes as all commands of its program do."""
    usage: tuple[str, ...] = ()
    """Usage lines, where they are not made of the arguments."""
    codes: Mapping[int, str] = errors.MEANINGS
    """The exit codes that it ends with."""
    notes: str = ""
    instead: Mapping[str, str] = MappingProxyType({})
    """What to do instead of options that other programs have, where that is different for this command."""

    @property
    def full_name(self) -> str:
        """As it is typed."""
        return f"{self.program} {self.name}".rstrip()

    @property
    def options(self) -> tuple[Argument, ...]:
        """The arguments spelled with dashes."""
        return tuple(argument for argument in self.arguments if argument.option)

    @property
    def every_option(self) -> tuple[Argument, ...]:
        """Those, and what all commands of its program take."""
        own = {argument.dest for argument in self.options}
        return (*self.options, *(argument for argument in self.general if argument.dest not in own))

    @property
    def takes_away(self) -> bool:
        """It changes a host, and asks before: never offered as what was probably meant."""
        return any("--yes" in option.names for option in self.options)

    @property
    def positionals(self) -> tuple[Argument, ...]:
        """The arguments told by their place."""
        return tuple(argument for argument in self.arguments if not argument.option)

    def wrong(self, message: str, hint: str = "") -> BadInput:
        """The error that the command line is no good."""
        return BadInput("bad-usage", message, hint=hint or f"`{self.full_name} --help` shows how it is used")

    def unknown(self, option: str, hint: str = "") -> BadInput:
        """The error that there is no such option."""
        return BadInput(
            "unknown-option", f"there is no option {option}", hint=hint or f"{self.full_name} --help lists the options"
        )
