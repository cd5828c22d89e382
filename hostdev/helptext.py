"""Help texts and versions of all programs, made from their rows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from hostdev.commandline import Argument, Command

WIDTH = 80
INDENT = "  "
COLUMN = 22
"""Where explanations begin."""
CODES = "exit-codes"
"""The topic of help that has them."""


def version_text() -> str:
    """The versions an answer depends on."""
    import platform  # noqa: PLC0415  help needs none of these

    return f"passgate {passgate_version()} (Python {platform.python_version()}, {_lxml_version()})\n"


def _lxml_version() -> str:
    try:
        from lxml.etree import LIBXML_VERSION, LXML_VERSION  # noqa: PLC0415
    except ImportError:
        return "without lxml"
    libxml2 = ".".join(str(part) for part in LIBXML_VERSION)
    lxml = ".".join(str(part) for part in LXML_VERSION if part)
    return f"lxml {lxml}, libxml2 {libxml2}"


def passgate_version() -> str:
    """Of the package, as it is installed."""
    from importlib import metadata  # noqa: PLC0415

    try:
        return metadata.version("passgate")
    except metadata.PackageNotFoundError:
        return "not installed"


def command_text(command: Command) -> str:
    """All about one command."""
    return join(
        _usage(command),
        paragraph(command.description),
        arguments("arguments", command.positionals),
        arguments("options", command.every_option),
        _examples(command),
        "\n".join(line if line.startswith(" ") else paragraph(line) for line in command.notes.splitlines()),
        codes_hint(command.program),
    )


def join(*parts: str) -> str:
    """Put an empty line between parts."""
    return "\n\n".join(part for part in parts if part) + "\n"


def paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)


def arguments(title: str, rows: Iterable[Argument]) -> str:
    return section(title, ((argument.spelling, argument.explanation) for argument in rows))


def section(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Lay out names and what they mean."""
    lines: list[str] = []
    for left, right in rows:
        room = WIDTH - COLUMN - len(INDENT)
        wrapped = textwrap.wrap(right, room, break_on_hyphens=False, break_long_words=False)
        if len(left) < COLUMN:
            lines.append(f"{INDENT}{left:<{COLUMN}}{wrapped[0] if wrapped else ''}".rstrip())
            wrapped = wrapped[1:]
        else:
            lines += textwrap.wrap(left, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT * 4)
        lines += [INDENT + " " * COLUMN + line for line in wrapped]
    return "\n".join([f"{title}:", *lines]) if lines else ""


def codes_hint(program: str) -> str:
    return f"`{program} help {CODES}` lists the exit codes."


def codes_text(codes: Mapping[int, str], title: str = "exit codes") -> str:
    """Every exit code and what it means."""
    wrapped = ((f"{code:>3}", textwrap.wrap(text, WIDTH - 7)) for code, text in codes.items())
    lines = (f"{INDENT}{code}  " + ("\n" + " " * 7).join(text) for code, text in wrapped)
    return "\n".join([f"{title}:", *lines])


def _usage(command: Command) -> str:
    if command.usage:
        return "\n".join(f"{'usage:' if not at else '      '} {line}" for at, line in enumerate(command.usage))
    start = f"usage: {command.full_name} "
    words = [argument.synopsis for argument in (*command.positionals, *command.options)]
    # Non-breaking spaces hold `[-o json]` together.
    text = " ".join(word.replace(" ", "\xa0") for word in words)
    lines = textwrap.wrap(text, WIDTH - len(start), break_long_words=False, break_on_hyphens=False)
    whole = textwrap.indent("\n".join(lines), " " * len(start)).replace(" " * len(start), start, 1)
    return whole.replace("\xa0", " ") or start.rstrip()


def _examples(command: Command) -> str:
    lines = [f"{INDENT}{line}\n{INDENT * 3}{about}" for line, about in command.examples]
    return "\n".join(["examples:", *lines]) if lines else ""
