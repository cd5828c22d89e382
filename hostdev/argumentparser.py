"""Parsers of argparse, made from rows."""

from __future__ import annotations

from argparse import ArgumentParser, HelpFormatter, RawDescriptionHelpFormatter
from typing import Any

from hostdev.commandline import Argument, Command


def make_parser(
    command: Command, epilog: str, formatter: type[HelpFormatter] = RawDescriptionHelpFormatter
) -> ArgumentParser:
    """Make one that answers help and mistakes as argparse does."""
    parser = ArgumentParser(
        prog=command.full_name,
        description=command.description,
        epilog=epilog,
        formatter_class=formatter,
        allow_abbrev=False,
    )
    for argument in command.arguments:
        metavar, choices = argument.metavar or None, argument.choices or None
        add_argument(parser, argument, help=argument.help, metavar=metavar, choices=choices, type=argument.type)
    return parser


def add_argument(parser: ArgumentParser, argument: Argument, *, help: str | None = None, **value: Any) -> None:  # noqa: A002  as argparse calls it
    """Add a row; `value` is how its value is read and named."""
    if argument.flag:
        parser.add_argument(*argument.names, action="store_true", help=help)
        return
    names = argument.names if argument.option else (argument.dest,)
    if argument.option:
        value |= {"dest": argument.dest, "required": argument.required}
    if argument.nargs:
        value["nargs"] = argument.nargs
    value |= {"action": "append", "default": []} if argument.repeat else {"default": argument.default}
    parser.add_argument(*names, help=help, **value)
