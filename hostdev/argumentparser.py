"""From the words after a command to its arguments, by its rows: the one reader of all programs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from hostdev.commandline import Argument, Command, Complete
from hostdev.habits import FORMS, Spelling, advice, spellings

STANDARD_INPUT = "-"
_LONGEST = 60


def read_arguments(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """Every argument by its field; what was not given has its default, or is told to be missing."""
    given = read_given(command, words)
    values: dict[str, Any] = {}
    for argument in (*command.positionals, *command.every_option):
        if argument.dest in given:
            values[argument.dest] = given[argument.dest]
        elif argument.required or (not argument.option and argument.nargs in {"", "+"}):
            raise command.wrong(f"{argument.names[0] if argument.option else argument.title} is missing")
        elif argument.flag:
            values[argument.dest] = False
        else:
            values[argument.dest] = [] if _is_list(argument) else argument.default
    _check_standard_input(command, values)
    return values


def read_given(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """What was given, by field."""
    reading = _Reading(command)
    rest = deque(words)
    while rest:
        word = rest.popleft()
        if word == "--":
            reading.loose += rest
            break
        if word.startswith("-") and word != STANDARD_INPUT and not reading.is_text(word):
            reading.take_option(word, rest)
        else:
            reading.loose.append(word)
    reading.place_loose()
    return reading.values


class _Reading:
    """The arguments as far as they are read."""

    def __init__(self, command: Command) -> None:
        self.values: dict[str, Any] = {}
        self.loose: list[str] = []
        """What stands without an option."""
        self._command = command
        self._spellings = spellings(command)
        self._texts: dict[str, str] = {}

    def take_option(self, word: str, rest: deque[str]) -> None:
        """Take an option, and its value off what follows."""
        name, attached = _split(word)
        spelling = self._spellings.get(name)
        if spelling is None or self._has_one_dash(word):
            raise self._command.unknown(name if spelling is None else word, advice(self._command, _whole(word)))
        if spelling.argument.flag or spelling.value is not None:
            if attached is not None and word[:2] == "--":
                raise self._command.wrong(f"{name} takes no value")
            if attached:
                rest.appendleft(f"-{attached}")
            self._store(name, spelling, spelling.value or "")
        elif spelling.argument.nargs == "?" and attached is None and (not rest or rest[0].startswith("-")):
            self.values.setdefault(spelling.argument.dest, "")
        else:
            self._store(name, spelling, self._value(name, spelling.argument, rest) if attached is None else attached)

    def is_text(self, word: str) -> bool:
        """Whether a word with a dash is a value: one that may begin so, where no option is spelled like it."""
        if not any(argument.dashed for argument in self._command.positionals):
            return False
        name, _ = _split(word)
        has_space = any(letter.isspace() for letter in word)
        return has_space or (word[:2] != "--" and (name not in self._spellings or self._has_one_dash(word)))

    def place_loose(self) -> None:
        """Give what stands without an option to the arguments in their order."""
        free = [one for one in self._command.positionals if one.dest not in self.values or _is_list(one)]
        for index, argument in enumerate(free):
            needed = sum(later.nargs in {"", "+"} for later in free[index + 1 :])
            most = len(self.loose) - needed if _is_list(argument) else min(1, len(self.loose) - needed)
            for word in self.loose[: max(most, 0)]:
                self._store(argument.names[0], Spelling(argument), word)
            del self.loose[: max(most, 0)]
        if self.loose:
            word = self.loose[0]
            raise self._command.wrong(
                f"{_shown(word)} is one argument too many", _instead_of_loose(self._command, word)
            )

    def _has_one_dash(self, word: str) -> bool:
        """Whether it is a long option with one dash, as Go programs have them."""
        return word[:2] != "--" and len(word) > 2 and f"-{_whole(word)}" in self._spellings

    def _value(self, name: str, argument: Argument, rest: deque[str]) -> str:
        is_option = bool(rest) and (rest[0] == "--" or _split(rest[0])[0] in self._spellings)
        if not rest or (is_option and not argument.dashed):
            raise self._command.wrong(f"{name} needs a value: {argument.value}")
        return rest.popleft()

    def _store(self, name: str, spelling: Spelling, text: str) -> None:
        argument = spelling.argument
        if argument.flag:
            self.values[argument.dest] = True
            return
        value = self._read(name, argument, text)
        if _is_list(argument):
            self.values.setdefault(argument.dest, []).append(value)
            return
        if argument.dest in self.values:
            raise self._twice(argument.names[-1], self._texts[argument.dest], text)
        self.values[argument.dest] = value
        self._texts[argument.dest] = text

    def _twice(self, name: str, first: str, second: str) -> Exception:
        return self._command.wrong(
            f"{name} is given twice: {_shown(first)} and {_shown(second)}", "it takes one; leave one out"
        )

    def _read(self, name: str, argument: Argument, text: str) -> object:
        if argument.choices and text not in argument.choices:
            raise self._no_choice(name, argument, text)
        if not text and argument.option and not argument.required:
            raise self._command.wrong(f"{name} needs a value: {argument.value}")
        if argument.type is None:
            return text
        try:
            return argument.type(text)
        except ValueError as error:
            what = f"needs a number, not {_shown(text)}" if argument.type in {int, float} else str(error)
            raise self._command.wrong(f"{name} {what}") from None

    def _no_choice(self, name: str, argument: Argument, text: str) -> Exception:
        from domxml.text import nearest  # noqa: PLC0415  only a mistake needs it

        one_of = ", ".join(argument.choices)
        form = text.partition("=")[0] if "--output" in argument.names and "csv" in argument.choices else ""
        if form in FORMS:
            return self._command.wrong(f"--output cannot be {text[:60]!r}", FORMS[form])
        near = None if argument.takes_away else nearest(text, argument.choices)
        hint = f"did you mean {near}? It is one of {one_of}" if near else f"it is one of {one_of}"
        long = argument.names[-1] if name.startswith("-") else name
        return self._command.wrong(f"{long} cannot be {_shown(text)}", hint)


def _instead_of_loose(command: Command, word: str) -> str:
    """What to write instead of a device or a directory that stands alone, where such are the values of an option."""
    takers = [option.names[-1] for option in command.options if option.complete is Complete.SPEC]
    if takers:
        return f"a device is named with {takers[0]} {word}"
    directories = [option.names[0] for option in command.options if option.complete is Complete.DIRECTORY]
    return f"a directory is named with {directories[0]} {_shown(word)}" if directories else ""


def _check_standard_input(command: Command, values: dict[str, Any]) -> None:
    """Refuse to read standard input for two arguments."""
    readers: list[str] = []
    for argument in (*command.positionals, *command.options):
        if argument.complete is Complete.FILE:
            value = values[argument.dest]
            texts = value if isinstance(value, list) else [value]
            name = argument.names[-1] if argument.option else argument.value
            readers += [name] * texts.count(STANDARD_INPUT)
    if len(readers) > 1:
        both = " and ".join(dict.fromkeys(readers))
        raise command.wrong(f"{both}: standard input can be read once", "name a file for all but one of them")


def _is_list(argument: Argument) -> bool:
    return argument.repeat or argument.nargs in {"*", "+"}


def _split(word: str) -> tuple[str, str | None]:
    """An option's name, and what is attached to it."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    return word[:2], word[2:].removeprefix("=") if len(word) > 2 else None


def _shown(text: str) -> str:
    """A value as sentences show it: that of a shim may be a whole domain."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _whole(word: str) -> str:
    return word.partition("=")[0]
