"""`--help`: complete, stable, and the same exit codes everywhere."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from domxml import errors
from domxml.errors import ExitCode
from hostdev.cli import helptext
from hostdev.cli.commands import table
from tests.hostdev.cli.running import Ran

EVERY = [*table.GROUPS, *table.COMMANDS]
OWN = [name for name in EVERY if name != "inject"]


@pytest.mark.parametrize("name", EVERY)
def test_help_is_printed_and_tells_every_exit_code(name: str, cli: Callable[..., Ran]) -> None:
    ran = cli(*name.split(), "--help")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == helptext.help_text(name)
    assert all(f"{code:>5}  {meaning}" in ran.out for code, meaning in errors.MEANINGS.items())
    assert max(map(len, ran.out.splitlines())) <= helptext.WIDTH + 2


@pytest.mark.parametrize("name", ["", "node", "node list", "node watch"])
def test_help_is_as_it_was(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"help-{name.replace(' ', '-') or 'passgate'}.txt", helptext.help_text(name))


def test_every_exit_code_of_the_core_has_a_meaning() -> None:
    assert {int(code) for code in ExitCode} <= set(errors.MEANINGS)


@pytest.mark.parametrize("name", [name for name in OWN if name in table.COMMANDS])
def test_every_command_can_be_run(name: str) -> None:
    module, function = table.COMMANDS[name].run.split(":")

    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", list(table.COMMANDS))
def test_every_argument_is_explained(name: str) -> None:
    command = table.COMMANDS[name]
    text = " ".join(helptext.help_text(name).split())

    for argument in command.arguments:
        assert " ".join(argument.explanation.split()) in text
        assert all(name in text for name in argument.names if argument.option)
    assert command.examples, "a command without an example is hard to use"
    assert all(line.startswith(("passgate", "virsh", "journalctl", "source")) for line, _ in command.examples)


def test_without_a_command_help_goes_to_standard_error(cli: Callable[..., Ran]) -> None:
    for words in ((), ("node",)):
        ran = cli(*words)

        assert (ran.code, ran.out) == (ExitCode.USAGE, "")
        assert ran.err.startswith("usage: passgate")


def test_help_wins_over_what_else_is_wrong(cli: Callable[..., Ran]) -> None:
    assert cli("node", "list", "--nonsense", "--help").code == 0
    assert cli("node", "--help", "nonsense").out == helptext.help_text("node")
