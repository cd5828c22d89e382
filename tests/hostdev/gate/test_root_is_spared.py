"""Whatever lies on the disks of a host, and whatever of it is not to be seen: no command takes the root away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostdev.gate.check import check
from hostdev.gate.hostuse import is_proved_unused
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.recording import Recording
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.commands import ADDRESS, MEMORY, SHELL, commands
from tests.hostdev.machines.stacks import LOST, Stack, stacks

SLOW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@contextmanager
def _host(stack: Stack, lost: frozenset[str] = frozenset()) -> Iterator[Host]:
    whole = stack.machine.recording("")
    recording = Recording(entries={path: e for path, e in whole.entries.items() if not path.startswith(tuple(lost))})
    with TemporaryDirectory(prefix="passgate-", dir=MEMORY) as directory:
        layout.write(recording, Path(directory))
        with Host(directory) as host:
            yield host


def _taken(machine: Machine) -> set[str]:
    """What any command that is printed would take from its driver."""
    return {str(address) for taken in commands(machine).values() for address in taken}


def _proved(machine: Machine) -> set[str]:
    return {str(address) for address, function in machine.functions.items() if is_proved_unused(machine, function)}


@SLOW
@given(stacks())
def test_what_is_used_through_any_layer_is_never_in_a_command(stack: Stack) -> None:
    with _host(stack) as host:
        machine = scan(host)
        assert not stack.used & _proved(machine)
        assert not stack.used & _taken(machine)
        for address in machine.functions:
            part = scan(host, only=[address])
            hints = [finding.hint for finding in check(part, [address]) if SHELL.search(finding.hint)]
            assert not stack.used & {found for hint in hints for found in ADDRESS.findall(hint)}


@SLOW
@given(stacks())
def test_what_carries_nothing_is_offered_on_a_host_where_all_is_seen(stack: Stack) -> None:
    with _host(stack) as host:
        machine = scan(host)
    assert {str(address) for address in machine.functions} - stack.used <= _proved(machine)


@SLOW
@given(stacks(), st.frozensets(st.sampled_from(LOST)))
def test_the_root_is_never_in_a_command_whatever_is_not_seen(stack: Stack, lost: frozenset[str]) -> None:
    with _host(stack, lost) as host:
        machine = scan(host)
    assert not stack.root & _proved(machine)
    assert not stack.root & _taken(machine)
