"""From the words after a command to its arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from domxml.errors import BadInput
from domxml.text import nearest
from hostdev.cli.command import Argument, Command
from hostdev.cli.commands import common
from hostdev.cli.resolve import unknown_option


def parse(command: Command, rest: Sequence[str]) -> argparse.Namespace:
    """Read the arguments of a command into a namespace."""
    known = (*command.options, *common.COMMON)
    for word in rest:
        if word == "--":
            break
        if word.startswith("-") and word != "-":
            _check_option(word, known, command.name)
    parser = _Parser(prog=f"passgate {command.name}", add_help=False, allow_abbrev=False)
    for argument in (*command.arguments, *common.COMMON):
        _add(parser, argument, command.name)
    parsed, left = parser.parse_known_intermixed_args(list(rest))
    if left:
        raise _usage_error(command.name, f"{left[0]!r} is one argument too many")
    return parsed


class _Parser(argparse.ArgumentParser):
    """Argparse that raises our errors instead of leaving, and prints nothing itself."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        # Asked for with every argument; without a width it loads shutil and, with it, three compressors.
        return argparse.HelpFormatter(prog=self.prog, width=100)

    def error(self, message: str) -> NoReturn:
        raise _usage_error(self.prog.removeprefix("passgate "), message.removeprefix("argument "))


def _add(parser: argparse.ArgumentParser, argument: Argument, command: str) -> None:
    if argument.flag:
        parser.add_argument(*argument.names, action="store_true")
        return
    extra: dict[str, object] = {"nargs": argument.nargs} if argument.nargs else {}
    if argument.option:
        extra["dest"] = argument.dest
        names = argument.names
    else:
        names = (argument.dest,)
    default: object = [] if argument.repeat else argument.default
    parser.add_argument(
        *names,
        metavar=argument.value,
        action="append" if argument.repeat else "store",
        default=default,
        type=_reader(argument, command),
        **extra,  # type: ignore[arg-type]
    )


def _reader(argument: Argument, command: str) -> Callable[[str], object]:
    """What turns the text of a value into the value; argparse lets our errors through."""
    name = argument.names[-1]

    def read(text: str) -> object:
        if argument.choices and text not in argument.choices:
            near = nearest(text, argument.choices)
            one_of = ", ".join(argument.choices)
            raise BadInput(
                "bad-usage",
                f"{name} cannot be {text!r}",
                hint=f"did you mean {near}? It is one of {one_of}" if near else f"it is one of {one_of}",
            )
        if argument.type is None:
            return text
        try:
            return argument.type(text)
        except ValueError:
            raise _usage_error(command, f"{name} needs a number, not {text!r}") from None

    return read


def _check_option(word: str, known: Iterable[Argument], command: str) -> None:
    spelled = word.split("=", 1)[0] if word.startswith("--") else word[:2]
    if spelled not in {name for argument in known for name in argument.names}:
        unknown_option(spelled, known, command)


def _usage_error(command: str, message: str) -> BadInput:
    return BadInput("bad-usage", message, hint=f"`passgate {command} --help` shows how it is used")
