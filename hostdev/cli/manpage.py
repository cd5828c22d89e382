"""Manual pages, made from the table of commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from domxml import errors
from domxml.errors import BadInput, ExitCode, NotPermitted
from hostdev.cli import helptext
from hostdev.cli.command import Argument, Command
from hostdev.cli.commands import common, table
from hostdev.printing import output

Item = tuple[str, str]
"""A term and its explanation, both as plain text."""


def run(arguments: argparse.Namespace) -> int:
    """Write every page into a directory."""
    directory = Path(arguments.directory)
    written = pages()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in written.items():
            (directory / name).write_text(text, encoding="utf-8")
    except PermissionError as error:
        raise NotPermitted("man-not-written", "the pages cannot be written there", subject=str(directory)) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput("man-not-written", f"the pages cannot be written: {why}", subject=str(directory)) from error
    output.write(f"{len(written)} pages in {directory}\n")
    return ExitCode.DONE


def pages() -> dict[str, str]:
    """The pages by their file names."""
    prefixes = {f"{_title(prefix)}.1": _prefix_page(prefix) for prefix in table.GROUPS}
    return prefixes | {f"{_title(name)}.1": _command_page(command) for name, command in table.COMMANDS.items()}


def _prefix_page(prefix: str) -> str:
    below = [f"{prefix} {word}".strip() for word in table.below(prefix)]
    purpose = helptext.summary(prefix)
    return _page(
        prefix,
        "COMMAND ...",
        purpose,
        _section("COMMANDS", ((f"{_title(name)}(1)", helptext.summary(name)) for name in below)),
        _arguments("OPTIONS", common.COMMON if prefix else (common.VERSION, *common.COMMON)),
        others=below,
    )


def _command_page(command: Command) -> str:
    return _page(
        command.name,
        " ".join(argument.synopsis for argument in (*command.positionals, *command.options)),
        command.description,
        _arguments("ARGUMENTS", command.positionals),
        _arguments("OPTIONS", (*command.options, *common.COMMON)),
        _section("EXAMPLES", command.examples),
        others=[command.name.rpartition(" ")[0]],
    )


def _page(name: str, synopsis: str, description: str, *sections: str, others: Iterable[str]) -> str:
    summary = helptext.summary(name).rstrip(".")
    parts = [
        f'.TH "{_title(name).upper()}" 1 "" "Passgate" "Passgate"\n.nh\n.ad l\n',
        f".SH NAME\n{_roff(_title(name))} \\- {_roff(summary[0].lower() + summary[1:])}\n",
        f".SH SYNOPSIS\n.B {_roff(helptext.full_name(name))}\n{_roff(synopsis)}\n",
        f".SH DESCRIPTION\n{_roff(description)}\n",
        *sections,
        _section("EXIT STATUS", ((str(code), meaning) for code, meaning in errors.MEANINGS.items())),
        ".SH SEE ALSO\n" + " ,\n".join(f".BR {_roff(_title(other))} (1)" for other in others) + "\n",
    ]
    return "".join(parts)


def _arguments(title: str, arguments: Iterable[Argument]) -> str:
    return _section(title, ((helptext.spelling(argument), helptext.describe(argument)) for argument in arguments))


def _section(title: str, items: Iterable[Item]) -> str:
    found = "".join(f".TP\n.B {_roff(term)}\n{_roff(text)}\n" for term, text in items)
    return f".SH {title}\n{found}" if found else ""


def _title(name: str) -> str:
    return helptext.full_name(name).replace(" ", "-")


def _roff(text: str) -> str:
    """Plain text as roff: no letter of it is a command, and dashes can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
