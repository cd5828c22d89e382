"""Manual pages, made from the table of commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from domxml import errors
from domxml.errors import BadInput, ExitCode, NotPermitted
from hostdev.cli import helppages, resolve
from hostdev.cli.commands import table
from hostdev.commandline import COMMON, VERSION, Argument, Command, Complete
from hostdev.printing import output

Item = tuple[str, str]
"""A term and its explanation, both as plain text."""


def run(arguments: argparse.Namespace) -> int:
    """Write every page into a directory."""
    directory = Path(arguments.directory)
    if resolve.find_name("", arguments.directory) and not directory.exists():
        what = "is a command; the pages of all commands go into a directory"
        hint = f"`passgate help {arguments.directory}` tells about it; ./{arguments.directory} is a directory"
        raise BadInput("bad-usage", what, subject=arguments.directory, hint=hint)
    written = pages()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in written.items():
            (directory / name).write_text(text, encoding="utf-8")
    except PermissionError as error:
        what = f"the pages cannot be written there: {error.strerror}"
        raise NotPermitted("man-not-written", what, subject=str(directory)) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput("man-not-written", f"the pages cannot be written: {why}", subject=str(directory)) from error
    output.write(f"{len(written)} pages in {directory}\n")
    return ExitCode.DONE


def pages() -> dict[str, str]:
    """The pages by their file names."""
    prefixes = {_file(helppages.full_name(prefix)): _prefix_page(prefix) for prefix in table.GROUPS}
    commands = (*table.COMMANDS.values(), *helppages.programs())
    return prefixes | {_file(command.full_name): command_page(command) for command in commands}


def _prefix_page(prefix: str) -> str:
    purpose = helppages.summary(prefix)
    below = [f"{prefix} {word}".strip() for word in table.below(prefix)]
    full = {helppages.full_name(name): helppages.summary(name) for name in below}
    return _page(
        helppages.full_name(prefix),
        purpose,
        "COMMAND ...",
        purpose if prefix else f"{purpose}\n{helppages.SHORT}",
        _section("COMMANDS", ((f"{_title(name)}(1)", summary) for name, summary in full.items())),
        _arguments("OPTIONS", COMMON if prefix else (VERSION, *COMMON)),
        codes=errors.MEANINGS,
        others=full,
    )


def command_page(command: Command) -> str:
    """The page of a command, or of a program without commands."""
    return _page(
        command.full_name,
        command.summary,
        " ".join(argument.synopsis for argument in (*command.positionals, *command.options)),
        f"{command.description}\n{command.notes}".rstrip(),
        _arguments("ARGUMENTS", command.positionals),
        _arguments("OPTIONS", command.every_option),
        _settings(command),
        _section("EXAMPLES", command.examples),
        codes=command.codes,
        others=[command.full_name.rpartition(" ")[0] or "passgate"],
    )


def _settings(command: Command) -> str:
    """What may follow a device after commas, where a command takes that."""
    if all(argument.complete is not Complete.SPEC for argument in command.arguments):
        return ""
    from hostdev.vmi.settings import SETTINGS  # noqa: PLC0415  loads lxml

    return _section("SETTINGS", ((row.spelling, row.explanation) for row in SETTINGS.values() if not row.which))


def _page(  # noqa: PLR0913
    name: str,
    summary: str,
    synopsis: str,
    description: str,
    *sections: str,
    codes: Mapping[int, str],
    others: Iterable[str],
) -> str:
    summary = summary.rstrip(".")
    parts = [
        f'.TH "{_title(name).upper()}" 1 "" "Passgate" "Passgate"\n.nh\n.ad l\n',
        f".SH NAME\n{_roff(_title(name))} \\- {_roff(summary[0].lower() + summary[1:])}\n",
        f".SH SYNOPSIS\n.B {_roff(name)}\n{_roff(synopsis)}\n",
        ".SH DESCRIPTION\n" + "".join(f"{_roff(line)}\n" for line in description.splitlines() if line),
        *sections,
        _section("EXIT STATUS", ((str(code), meaning) for code, meaning in codes.items())),
        ".SH SEE ALSO\n" + " ,\n".join(f".BR {_roff(_title(other))} (1)" for other in others) + "\n",
    ]
    return "".join(parts)


def _arguments(title: str, arguments: Iterable[Argument]) -> str:
    return _section(title, ((argument.spelling, argument.explanation) for argument in arguments))


def _section(title: str, items: Iterable[Item]) -> str:
    found = "".join(f".TP\n.B {_roff(term)}\n{_roff(text)}\n" for term, text in items)
    return f".SH {title}\n{found}" if found else ""


def _title(name: str) -> str:
    return name.replace(" ", "-")


def _file(name: str) -> str:
    return f"{_title(name)}.1"


def _roff(text: str) -> str:
    """Plain text as roff: no letter of it is a command, and dashes can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
