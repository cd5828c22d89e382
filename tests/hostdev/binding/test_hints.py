"""What is printed as a command is a plan that stands: on every machine, of the very functions that it names."""

from __future__ import annotations

import pytest

from hostdev.binding.effects import Outcome
from hostdev.binding.plan import bind
from tests.hostdev.commands import commands, pictures

MACHINES = pictures()


@pytest.mark.parametrize("name", MACHINES)
def test_every_command_that_is_printed_is_a_plan(name: str) -> None:
    machine = MACHINES[name]
    for command, taken in commands(machine).items():
        if not taken:
            continue
        functions = [machine.functions[address] for address in taken]

        plan = bind(machine, functions, with_group="--with-group" in command)

        assert plan.outcome == Outcome.PLANNED, (command, plan.findings)
        if "--with-group" not in command:
            assert set(plan.devices) == set(map(str, taken)), command
