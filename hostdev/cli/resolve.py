"""From the first words on the command line to a command; a mistake names what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from domxml.errors import BadInput
from domxml.text import did_you_mean, nearest
from hostdev.cli.commands import table
from hostdev.cli.commands.common import VERSION
from hostdev.commandline import COMMON, DEBUG, HELP, Argument, Command


class Call(NamedTuple):
    """How far the leading words go: to a command, or only to a prefix of some; and what follows them."""

    prefix: str
    command: Command | None = None
    rest: tuple[str, ...] = ()
    help: bool = False
    version: bool = False


def resolve(argv: Sequence[str]) -> Call:
    """Find the command; `--help` and `--version` may come before it is complete, `--debug` anywhere."""
    prefix = ""
    for index, word in enumerate(argv):
        if word in HELP.names:
            return Call(prefix=prefix, help=True)
        if word in VERSION.names:
            return Call(prefix=prefix, version=True)
        if word in DEBUG.names:
            continue
        if word.startswith("-"):
            unknown_option(word, (*COMMON, VERSION), prefix)
        name = f"{prefix} {word}".strip()
        if name in table.COMMANDS:
            rest = tuple(argv[index + 1 :])
            return Call(prefix=name, command=table.COMMANDS[name], rest=rest, help=_asks_for_help(rest))
        if name not in table.GROUPS:
            _unknown_command(prefix, word)
        prefix = name
    return Call(prefix=prefix)


def unknown_option(word: str, known: Iterable[Argument], command: str) -> NoReturn:
    """Refuse an option that a command does not have."""
    names = (name for argument in known for name in argument.names)
    hint = did_you_mean(word, names, f"{_spoken(command)} --help lists the options")
    raise BadInput("unknown-option", f"there is no option {word}", hint=hint)


def _unknown_command(prefix: str, word: str) -> NoReturn:
    near = nearest(word, table.below(prefix))
    raise BadInput(
        "unknown-command",
        f"there is no command {_spoken(f'{prefix} {word}')}",
        hint=f"did you mean {_spoken(f'{prefix} {near}')}?" if near else f"{_spoken(prefix)} --help lists them",
    )


def _asks_for_help(rest: Sequence[str]) -> bool:
    before = rest[: rest.index("--")] if "--" in rest else rest
    return any(name in before for name in HELP.names)


def _spoken(name: str) -> str:
    return " ".join(["passgate", *name.split()])
