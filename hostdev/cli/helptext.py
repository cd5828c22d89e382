"""Help texts and versions, made from the table of commands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from domxml import errors
from hostdev.cli.commands import table
from hostdev.cli.commands.common import VERSION
from hostdev.commandline import COMMON, Command


def version_text() -> str:
    """The versions an answer depends on."""
    import platform  # noqa: PLC0415  help needs none of these

    from lxml import etree  # noqa: PLC0415

    libxml2 = ".".join(str(part) for part in etree.LIBXML_VERSION)
    lxml = ".".join(str(part) for part in etree.LXML_VERSION if part)
    return f"passgate {passgate_version()} (Python {platform.python_version()}, lxml {lxml}, libxml2 {libxml2})\n"


def passgate_version() -> str:
    """Of the package, as it is installed."""
    from importlib import metadata  # noqa: PLC0415

    try:
        return metadata.version("passgate")
    except metadata.PackageNotFoundError:
        return "not installed"


WIDTH = 88
INDENT = "  "
COLUMN = 22
"""Where explanations begin."""


def help_text(name: str) -> str:
    """The text for a command, or for the words that lead to some."""
    command = table.COMMANDS.get(name)
    return _of_prefix(name) if command is None else _of_command(command)


def summary(name: str) -> str:
    """What a command, or a word that leads to some, is for; the empty name is passgate itself."""
    return table.GROUPS[name] if name in table.GROUPS else table.COMMANDS[name].summary


def full_name(name: str) -> str:
    """A command as it is typed."""
    return " ".join(["passgate", *name.split()])


def _of_command(command: Command) -> str:
    """All about one command."""
    options = (*command.options, *command.general)
    parts = [
        _usage(command),
        _paragraph(command.description),
        _section("arguments", ((argument.spelling, argument.explanation) for argument in command.positionals)),
        _section("options", ((argument.spelling, argument.explanation) for argument in options)),
        _examples(command),
        _exit_codes(command.codes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _of_prefix(prefix: str) -> str:
    """The commands that begin with these words; with none of them, all of passgate."""
    name = full_name(prefix)
    general = COMMON if prefix else (VERSION, *COMMON)
    parts = [
        f"usage: {name} COMMAND …",
        _paragraph(summary(prefix)),
        _section("commands", ((word, summary(f"{prefix} {word}".strip())) for word in table.below(prefix))),
        _section("options", ((argument.spelling, argument.explanation) for argument in general)),
        f"`{name} COMMAND --help` tells more about one of them.",
        _exit_codes(errors.MEANINGS),
    ]
    return "\n\n".join(parts) + "\n"


def _usage(command: Command) -> str:
    start = f"usage: {command.full_name} "
    words = [argument.synopsis for argument in (*command.positionals, *command.options)]
    # Non-breaking spaces hold `[-o json]` together.
    text = " ".join(word.replace(" ", "\xa0") for word in words)
    lines = textwrap.wrap(text, WIDTH - len(start), break_long_words=False, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), " " * len(start)).replace(" " * len(start), start, 1).replace("\xa0", " ")


def _paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def _section(title: str, rows: Iterable[tuple[str, str]]) -> str:
    lines: list[str] = []
    for left, right in rows:
        wrapped = textwrap.wrap(right, WIDTH - COLUMN - len(INDENT), break_on_hyphens=False)
        if len(left) <= COLUMN - len(INDENT):
            lines.append(f"{INDENT}{left:<{COLUMN}}{wrapped[0]}")
            wrapped = wrapped[1:]
        else:
            lines.append(INDENT + left)
        lines += [INDENT + " " * COLUMN + line for line in wrapped]
    return "\n".join([f"{title}:", *lines]) if lines else ""


def _examples(command: Command) -> str:
    lines = [f"{INDENT}{line}\n{INDENT * 3}{about}" for line, about in command.examples]
    return "\n".join(["examples:", *lines]) if lines else ""


def _exit_codes(codes: Mapping[int, str]) -> str:
    return "\n".join(["exit codes:", *(f"{INDENT}{code:>3}  {text}" for code, text in codes.items())])
