"""The rows of all programs: complete, fit for every parser and for a manual page."""

from __future__ import annotations

import tomllib
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooksidecar import flags, options, precloudinitiso, shim
from hooksidecar.agent import options as agent_options
from hooksidecar.rehearsal import command as rehearsal
from hostdev.argumentparser import make_parser
from hostdev.cli.commands import table
from hostdev.cli.manpage import command_page
from hostdev.commandline import Command
from tests.house import ROOT

LEAN = (options.PROGRAM, agent_options.PROGRAM)
PROGRAMS = (*LEAN, rehearsal.PROGRAM, shim.PROGRAM, precloudinitiso.PROGRAM)
ROWS = (*PROGRAMS, *table.COMMANDS.values())
each_row = pytest.mark.parametrize("command", ROWS, ids=lambda command: command.full_name)


def test_every_installed_program_has_rows() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

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


@given(st.data())
def test_a_row_is_read_alike_with_and_without_argparse(data: st.DataObject) -> None:
    command = data.draw(st.sampled_from(LEAN))
    words = []
    for option in data.draw(st.lists(st.sampled_from(command.options))):
        name = data.draw(st.sampled_from(option.names))
        value = data.draw(st.sampled_from(option.choices) if option.choices else st.text("ab/.=1", min_size=1))
        words += [name] if option.flag else data.draw(st.sampled_from([[name, value], [f"{name}={value}"]]))

    given_values = flags.read(command, words)

    assert vars(make_parser(command, "").parse_args(words)).items() >= given_values.items()
