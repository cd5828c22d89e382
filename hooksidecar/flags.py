"""Command lines of programs that start quickly: rows of options are read, and shown by `--help`, without argparse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from domxml.text import did_you_mean
from hostdev.commandline import HELP, Argument, Command

GENERAL = (HELP, Argument(("--version",), "show the versions of passgate and what it stands on", flag=True))


def read(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """The values by field, as text; an option without one is True."""
    values: dict[str, Any] = {}
    options = {name: option for option in command.options for name in option.names}
    rest = list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        option = options.get(name)
        if option is None:
            raise command.wrong(f"there is no {name!r}", did_you_mean(name, options, ""))
        if option.flag:
            if equals:
                raise command.wrong(f"{name} takes no value")
            values[option.dest] = True
            continue
        if not equals:
            if not rest:
                raise command.wrong(f"{name} needs a value: {option.value}")
            value = rest.pop(0)
        values[option.dest] = _checked(command, option, value)
    return values


def answer_help(words: Sequence[str], command: Command) -> bool:
    """Answer what the words ask about the program itself; false where they ask nothing."""
    if {"-h", "--help"} & set(words):
        sys.stdout.write(help_text(command))
    elif "--version" in words:
        from hostdev.cli import helptext  # noqa: PLC0415  only who asks needs it

        sys.stdout.write(helptext.version_text())
    else:
        return False
    return True


def help_text(command: Command) -> str:
    """What `--help` prints."""
    lines = [f"{'usage:' if not at else '      '} {line}" for at, line in enumerate(command.usage)]
    lines += ["", command.description, "", "options:"]
    for option in (*command.options, *command.general):
        lines += [f"  {option.spelling}", f"        {option.explanation}"]
    lines += [*(("", command.notes) if command.notes else ()), "", "exit codes:"]
    lines += [f"  {code:>3}  {text}" for code, text in command.codes.items()]
    return "\n".join(lines) + "\n"


def _checked(command: Command, option: Argument, value: str) -> str:
    name = option.names[-1]
    if option.choices and value not in option.choices:
        raise command.wrong(f"{name} cannot be {value!r}", f"it is one of {', '.join(option.choices)}")
    if not value:
        raise command.wrong(f"{name} needs a value: {option.value}")
    return value


def read_seconds(text: str, most: float) -> float | None:
    """A time to wait, from nothing to the most; None for what is no such number, as `nan` is none."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= most else None
