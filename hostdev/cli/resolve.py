"""From the first words on the command line to a command; a mistake names what was probably meant."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

from domxml.errors import BadInput
from domxml.text import nearest
from hostdev import habits
from hostdev.cli.commands import table
from hostdev.commandline import COMMON, HELP, VERSION, Argument, Command

HELP_WORDS = frozenset({*HELP.names, "-?"})
VERSION_WORDS = frozenset(VERSION.names)
SYNONYMS = {"ls": "list", "describe": "show", "diff": "compare", "tree": "draw", "edit": "inject"}
"""What other programs call our commands."""
SHORT = "node"
"""Its commands are found without this word too."""


class Call(NamedTuple):
    """How far the leading words go: to a command, or only to a prefix of some; and what follows them."""

    prefix: str
    command: Command | None = None
    rest: tuple[str, ...] = ()
    help: bool = False
    version: bool = False
    topic: str = ""
    """Of what `passgate help` is to tell, where it is no command."""


def resolve(argv: Sequence[str]) -> Call:
    """Find the command; options may come before it is complete."""
    prefix = ""
    early: list[str] = []
    words = deque(argv)
    while words:
        word = words.popleft()
        if word in HELP_WORDS:
            return Call(prefix=prefix, help=True)
        if word in VERSION_WORDS or (word == "version" and not prefix):
            return Call(prefix=prefix, version=True)
        if word.startswith("-"):
            early += _take_early(word, words, prefix)
            continue
        if word == "help":
            return _help_of(prefix, words)
        prefix = find_name(prefix, word) or _unknown_command(prefix, word)
        if prefix in table.COMMANDS:
            return _call(prefix, (*early, *words))
    return Call(prefix=prefix)


def _call(name: str, rest: tuple[str, ...]) -> Call:
    command = table.COMMANDS[name]
    before = rest[: rest.index("--")] if "--" in rest else rest
    taken = {word for option in command.every_option for word in option.names}
    version = not (VERSION_WORDS - taken).isdisjoint(before)
    return Call(name, command, rest, help=not HELP_WORDS.isdisjoint(before), version=version)


def find_name(prefix: str, word: str) -> str:
    """A command, or words that lead to some: as it is called, in the other number, or as other programs call it."""
    for spelling in _spellings(word):
        for start in (prefix,) if prefix else ("", SHORT):
            name = f"{start} {spelling}".strip()
            if name in table.COMMANDS or name in table.GROUPS:
                return name
    return ""


def _spellings(word: str) -> Iterator[str]:
    yield word
    if word in SYNONYMS:
        yield SYNONYMS[word]
    if word:
        yield word.removesuffix("s") if word.endswith("s") else f"{word}s"


def _help_of(prefix: str, words: Sequence[str]) -> Call:
    """What follows the word `help`: a command, words that lead to some, or a topic."""
    for word in words:
        if word in table.TOPICS and not prefix:
            return Call(prefix="", help=True, topic=word)
        if word.startswith("-"):
            continue
        prefix = find_name(prefix, word) or _unknown_command(prefix, word, also=table.TOPICS)
        if prefix in table.COMMANDS:
            break
    return Call(prefix=prefix, help=True)


def _take_early(word: str, words: deque[str], prefix: str) -> list[str]:
    """An option before the command, with its value: that of any command may stand there."""
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    option = early_options().get(name)
    if option is None:
        program = Command(prefix, "", "", general=(*COMMON, VERSION))
        raise program.unknown(name, habits.advice(program, name))
    if option.flag or word != name or not words:
        return [word]
    return [word, words.popleft()]


def early_options() -> dict[str, Argument]:
    """What may stand before a command: the options of all of them."""
    return {
        name: spelling.argument
        for command in table.COMMANDS.values()
        for name, spelling in habits.spellings(command).items()
        if spelling.value is None and spelling.argument.option
    }


def _unknown_command(prefix: str, word: str, also: Iterable[str] = ()) -> NoReturn:
    below = {word: f"{prefix} {word}".strip() for word in table.below(prefix)}
    if not prefix:
        below = {word: f"{SHORT} {word}" for word in table.below(SHORT)} | below
    near = nearest(word, [*below, *also])
    hint = f"{_spoken(prefix)} --help lists them"
    if near and near in also:
        hint = f"did you mean {_spoken(f'help {near}')}?"
    elif near and not (below[near] in table.COMMANDS and table.COMMANDS[below[near]].takes_away):
        hint = f"did you mean {_spoken(below[near])}?"
    raise BadInput("unknown-command", f"there is no command {_spoken(f'{prefix} {word}')}", hint=hint)


def _spoken(name: str) -> str:
    return " ".join(["passgate", *name.split()])
