"""From the words after a command to its arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NoReturn

from domxml.text import nearest
from hostdev.argumentparser import add_argument
from hostdev.cli.resolve import unknown_option
from hostdev.commandline import Argument, Command


def parse(command: Command, rest: Sequence[str]) -> argparse.Namespace:
    """Read the arguments of a command into a namespace."""
    known = (*command.options, *command.general)
    rest = _joined(rest, {name for argument in known if argument.dashed for name in argument.names})
    for word in rest:
        if word == "--":
            break
        if word.startswith("-") and word != "-":
            _check_option(word, known, command.name)
    parser = _Parser(command)
    for argument in (*command.arguments, *command.general):
        add_argument(parser, argument, metavar=argument.value, type=_reader(argument, command))
    parsed, left = parser.parse_known_intermixed_args(list(rest))
    if left:
        raise command.wrong(f"{left[0]!r} is one argument too many")
    return parsed


def _joined(rest: Sequence[str], dashed: Collection[str]) -> list[str]:
    """`--sort -numa` as `--sort=-numa`: argparse takes what begins with a dash for an option."""
    words: list[str] = []
    for word in rest:
        if words and words[-1] in dashed and word.startswith("-"):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


class _Parser(argparse.ArgumentParser):
    """Argparse that raises our errors instead of leaving, and prints nothing itself."""

    def __init__(self, command: Command) -> None:
        super().__init__(prog=command.full_name, add_help=False, allow_abbrev=False)
        self._command = command

    def _get_formatter(self) -> argparse.HelpFormatter:
        # Asked for with every argument; without a width it loads shutil and, with it, three compressors.
        return argparse.HelpFormatter(prog=self.prog, width=100)

    def error(self, message: str) -> NoReturn:
        raise self._command.wrong(message.removeprefix("argument "))


def _reader(argument: Argument, command: Command) -> Callable[[str], object]:
    """Choose what turns the text of a value into the value; argparse lets our errors through."""
    name = argument.names[-1]

    def read(text: str) -> object:
        if argument.choices and text not in argument.choices:
            near = nearest(text, argument.choices)
            one_of = ", ".join(argument.choices)
            raise command.wrong(
                f"{name} cannot be {text!r}",
                f"did you mean {near}? It is one of {one_of}" if near else f"it is one of {one_of}",
            )
        if argument.type is None:
            return text
        try:
            return argument.type(text)
        except ValueError:
            raise command.wrong(f"{name} needs a number, not {text!r}") from None

    return read


def _check_option(word: str, known: Iterable[Argument], command: str) -> None:
    spelled = word.split("=", 1)[0] if word.startswith("--") else word[:2]
    if spelled not in {name for argument in known for name in argument.names}:
        unknown_option(spelled, known, command)
