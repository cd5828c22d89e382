"""Command lines from a table of flags: parsed, and shown by `--help`. Without argparse, for a quick start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from domxml import errors
from domxml.errors import BadInput
from domxml.text import did_you_mean


class Flag(NamedTuple):
    """A row of the table."""

    name: str
    value: str
    """What stands for its value in the help; empty: it has none."""
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """Its name as that of a field."""
        return self.name.lstrip("-").replace("-", "_")


class Program(NamedTuple):
    """What a program's help says."""

    name: str
    usage: tuple[str, ...]
    about: str
    flags: tuple[Flag, ...]
    codes: frozenset[int]
    """The exit codes that it ends with."""
    more: tuple[str, ...] = ()

    def wrong(self, message: str, hint: str = "") -> BadInput:
        """The error that the command line is no good."""
        return BadInput("bad-usage", message, hint=hint or f"`{self.name} --help` shows how it is used")


def read(program: Program, words: Sequence[str]) -> dict[str, Any]:
    """The values by field, as text; a flag without a value is True."""
    values: dict[str, Any] = {}
    flags = {flag.name: flag for flag in program.flags}
    rest = list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        flag = flags.get(name)
        if flag is None:
            raise program.wrong(f"there is no {name!r}", did_you_mean(name, flags, ""))
        if not flag.value:
            if equals:
                raise program.wrong(f"{name} takes no value")
            values[flag.field] = True
            continue
        if not equals:
            if not rest:
                raise program.wrong(f"{name} needs a value: {flag.value}")
            value = rest.pop(0)
        values[flag.field] = _checked(program, flag, value)
    return values


def answer_help(words: Sequence[str], help_text: Callable[[], str]) -> bool:
    """Answer what the words ask about the program itself; false where they ask nothing."""
    if {"-h", "--help"} & set(words):
        sys.stdout.write(help_text())
    elif "--version" in words:
        from hostdev.cli import helptext  # noqa: PLC0415  only who asks needs it

        sys.stdout.write(helptext.version_text())
    else:
        return False
    return True


def help_text(program: Program, defaults: Mapping[str, object]) -> str:
    """What `--help` prints."""
    lines = [f"{'usage:' if not at else '      '} {line}" for at, line in enumerate(program.usage)]
    lines += ["", program.about, "", "options:"]
    rows = [(f"{flag.name} {flag.value}".rstrip(), _about(flag, defaults[flag.field])) for flag in program.flags]
    rows += [("-h, --help", "show this text"), ("--version", "show the versions of passgate and what it stands on")]
    lines += [f"  {left}\n        {right}" for left, right in rows]
    lines += [*(("", *program.more) if program.more else ()), "", "exit codes:"]
    lines += [f"  {code:>3}  {text}" for code, text in errors.MEANINGS.items() if code in program.codes]
    return "\n".join(lines) + "\n"


def _checked(program: Program, flag: Flag, value: str) -> str:
    if flag.choices and value not in flag.choices:
        raise program.wrong(f"{flag.name} cannot be {value!r}", f"it is one of {', '.join(flag.choices)}")
    if not value:
        raise program.wrong(f"{flag.name} needs a value: {flag.value}")
    return value


def _about(flag: Flag, default: object) -> str:
    return f"{flag.meaning} (default: {default})" if flag.value and default != "" else flag.meaning
