"""The rows of all programs: complete, fit for every parser and for a manual page."""

from __future__ import annotations

import argparse
import tomllib
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput, PassgateError
from hooksidecar import options, precloudinitiso, shim
from hooksidecar.agent import options as agent_options
from hooksidecar.claims import options as claims_options
from hooksidecar.rehearsal import command as rehearsal
from hostdev.argumentparser import read_arguments
from hostdev.cli.commands import table
from hostdev.cli.manpage import command_page
from hostdev.commandline import Command
from hostdev.habits import FILES, INSTEAD
from tests.house import ROOT

LEAN = (options.PROGRAM, agent_options.PROGRAM, claims_options.PROGRAM)
PROGRAMS = (*LEAN, rehearsal.PROGRAM, shim.PROGRAM, precloudinitiso.PROGRAM)
ROWS = (*PROGRAMS, *table.COMMANDS.values())
each_row = pytest.mark.parametrize("command", ROWS, ids=lambda command: command.full_name)


def test_every_installed_program_has_rows() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    # kubectl runs its plugins by this name, with passgate's own words.
    assert scripts.pop("kubectl-passgate") == scripts["passgate"]
    assert set(scripts) <= {command.program for command in ROWS}
    assert {command.run for command in PROGRAMS if command.program in scripts and not command.name} == (
        set(scripts.values()) - {scripts["passgate"]}
    )


@each_row
def test_what_a_row_runs_is_there(command: Command) -> None:
    module, function = command.run.split(":")

    assert callable(getattr(import_module(module), function))


@each_row
def test_a_name_is_taken_once(command: Command) -> None:
    names = [name for argument in command.arguments for name in argument.names]

    assert len(names) == len(set(names))
    assert len(command.arguments) == len({argument.dest for argument in command.arguments})
    assert command.summary.endswith(".")


@each_row
def test_a_page_can_be_made_of_each(command: Command) -> None:
    text = command_page(command).replace("\\-", "-").replace("\\&", "")

    assert f".SH SYNOPSIS\n.B {command.full_name}\n" in text
    for argument in (*command.arguments, *command.general):
        assert argument.explanation.replace("…", "...") in text
    assert all(f".B {code}\n{meaning}".replace("…", "...") in text for code, meaning in command.codes.items())


def as_argparse_reads(command: Command, words: list[str]) -> dict[str, Any]:
    """What the standard library's reader makes of words, by the same rows."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for argument in (*command.positionals, *command.every_option):
        names = argument.names if argument.option else (argument.dest,)
        if argument.flag:
            parser.add_argument(*names, action="store_true", dest=argument.dest)
            continue
        value: dict[str, Any] = {"dest": argument.dest, "required": argument.required} if argument.option else {}
        value |= {"nargs": argument.nargs} if argument.nargs else {}
        value |= {"action": "append", "default": []} if argument.repeat else {"default": argument.default}
        parser.add_argument(*names, **value)
    return vars(parser.parse_intermixed_args(words))


@given(st.data())
def test_words_are_read_as_argparse_reads_them(data: st.DataObject) -> None:
    command = data.draw(st.sampled_from([row for row in ROWS if all(one.type is None for one in row.arguments)]))
    words: list[list[str]] = []
    text = st.text("ab/.=1", min_size=1)
    for option in data.draw(st.lists(st.sampled_from(command.every_option), unique_by=lambda option: option.dest)):
        name = data.draw(st.sampled_from(option.names))
        value = data.draw(st.sampled_from(option.choices) if option.choices else text)
        joined = f"{name}={value}" if name.startswith("--") else f"{name}{value}"
        words.append([name] if option.flag else data.draw(st.sampled_from([[name, value], [joined]])))
    words += [[option.names[0], "a"] for option in command.options if option.required and option.dest not in str(words)]
    for argument in command.positionals:
        many = {"": (1, 1), "?": (0, 1), "*": (0, 3), "+": (1, 3)}[argument.nargs]
        choice = st.sampled_from(argument.choices) if argument.choices else text
        words += [[word] for word in data.draw(st.lists(choice, min_size=many[0], max_size=many[1]))]
    line = [word for part in words for word in part]

    try:
        expected = as_argparse_reads(command, line)
    except SystemExit:
        return
    assert read_arguments(command, line) == expected


@given(st.data())
def test_any_words_are_arguments_or_a_sentence(data: st.DataObject) -> None:
    command = data.draw(st.sampled_from(ROWS))
    names = [name for option in command.every_option for name in option.names]
    word = st.sampled_from([*names, *FILES, *INSTEAD, "--", "-", "-x", "--json", "--no-color", "="]) | st.text(
        max_size=9
    )

    with suppress(BadInput):
        read_arguments(command, data.draw(st.lists(word | word.map(lambda name: f"{name}=x"), max_size=6)))


def test_a_value_that_is_long_is_cut_where_it_is_told() -> None:
    with pytest.raises(PassgateError) as twice:
        read_arguments(shim.PROGRAM, ["--domain", "<" * 10_000, "--domain", "x"])

    assert len(twice.value.message) < 200
