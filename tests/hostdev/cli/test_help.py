"""`--help`: complete, stable, and the same exit codes everywhere."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from domxml import errors
from domxml.errors import ExitCode
from hostdev.cli import helppages
from hostdev.cli.commands import table
from hostdev.helptext import command_text
from hostdev.vmi.settings import SETTINGS
from tests.hostdev.cli.running import Ran

EVERY = [*table.GROUPS, *table.COMMANDS]
OWN = [name for name in EVERY if name != "inject"]
LARGEST = 80


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > LARGEST]


@pytest.mark.parametrize("name", EVERY)
def test_help_is_printed_and_fits_a_terminal(name: str, cli: Callable[..., Ran]) -> None:
    ran = cli(*name.split(), "--help")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == cli("help", *name.split()).out == helppages.help_text(name)
    assert lines_of(ran.out) == []
    assert "exit codes:" not in ran.out


@pytest.mark.parametrize("topic", table.TOPICS)
def test_a_topic_fits_a_terminal(topic: str, cli: Callable[..., Ran]) -> None:
    ran = cli("help", topic)

    assert (ran.code, ran.err, lines_of(ran.out)) == (0, "", [])
    assert ran.out == helppages.help_text("", topic)


def test_the_help_of_every_other_program_fits_a_terminal() -> None:
    rows = list(helppages.programs())

    assert len(rows) == len(table.PROGRAMS)
    for command in rows:
        assert lines_of(command_text(command)) == [], command.full_name


def test_exit_codes_are_told_once(cli: Callable[..., Ran]) -> None:
    said = " ".join(cli("help", "exit-codes").out.split())

    assert all(f" {code} {meaning}" in said for code, meaning in errors.MEANINGS.items())
    for command in helppages.programs():
        assert f"of {command.full_name}: " in said
        assert all(f" {code} {meaning}" in said for code, meaning in command.codes.items())


def test_settings_are_told_with_their_examples_and_in_short_by_inject(cli: Callable[..., Ran]) -> None:
    said = " ".join(cli("help", "settings").out.split())
    short = " ".join(cli("inject", "--help").out.split())

    for row in SETTINGS.values():
        assert row.example in said
        assert f"{row.name}=" in said
        assert row.which or f"{row.name}," in short or f"{row.name};" in short


@pytest.mark.parametrize("name", ["", "node", "node list", "node watch"])
def test_help_is_as_it_was(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"help-{name.replace(' ', '-') or 'passgate'}.txt", helppages.help_text(name))


def test_every_exit_code_of_the_core_has_a_meaning() -> None:
    assert {int(code) for code in ExitCode} <= set(errors.MEANINGS)


@pytest.mark.parametrize("name", [name for name in OWN if name in table.COMMANDS])
def test_every_command_can_be_run(name: str) -> None:
    module, function = table.COMMANDS[name].run.split(":")

    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", list(table.COMMANDS))
def test_every_argument_is_explained(name: str) -> None:
    command = table.COMMANDS[name]
    text = " ".join(helppages.help_text(name).split())

    for argument in command.arguments:
        assert " ".join(argument.explanation.split()) in text
        assert all(name in text for name in argument.names if argument.option)
    assert command.examples, "a command without an example is hard to use"
    assert all(
        line.startswith(("passgate", "virsh", "journalctl", "kubectl", "source")) for line, _ in command.examples
    )


def test_without_a_command_help_goes_to_standard_error(cli: Callable[..., Ran]) -> None:
    for words in ((), ("node",)):
        ran = cli(*words)

        assert (ran.code, ran.out) == (ExitCode.USAGE, "")
        assert ran.err.startswith("usage: passgate")


def test_help_wins_over_what_else_is_wrong(cli: Callable[..., Ran]) -> None:
    assert cli("node", "list", "--nonsense", "--help").code == 0
    assert cli("node", "--help", "nonsense").out == helppages.help_text("node")
