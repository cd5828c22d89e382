"""NodeState files as commands read them: from a file or a pipe, and what of them is for a node."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from domxml.errors import BadInput
from domxml.text import listed
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import BadState, read_states, state_for
from hostdev.cli import devices
from hostdev.inject import gather
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.printing import output


def read_file(name: str) -> tuple[NodeState, ...]:
    """Read a file; every mistake in it is told with its place."""
    return parse_file(gather.read_file(name), name)


def parse_file(data: bytes, name: str) -> tuple[NodeState, ...]:
    """The same of what was read already."""
    try:
        return read_states(data, "standard input" if name == "-" else name)
    except BadState as error:
        for flaw in error.flaws[:-1]:
            output.note(f"error: {flaw.place}: {flaw.finding.what} [{flaw.finding.code}]")
            output.note(f"hint: {flaw.finding.hint}")
        last = error.flaws[-1]
        raise BadInput(last.finding.code, last.finding.what, subject=last.place, hint=last.finding.hint) from None


def host_name(host: Host) -> str:
    """A node's name where nothing says another."""
    return (host.read("proc/sys/kernel/hostname") or "").strip().lower()


def note_other_nodes(states: Sequence[NodeState], node: str | None) -> None:
    """Say that none of the documents is for a node."""
    names = [state.name for state in states if state.name]
    output.note(f"note: none of {len(states)} documents is for {node or 'this node'}: {listed(names)}")


def state_of(arguments: argparse.Namespace, files: Sequence[str], machine: Machine) -> NodeState:
    """What files declare for the node that `--host` and `--node` name."""
    states = tuple(state for name in files for state in read_file(name))
    node = arguments.node
    if not node and arguments.host == devices.LIVE:
        with Host(devices.LIVE) as host:
            node = host_name(host)
    state = state_for(states, machine, node or None)
    if state is None:
        note_other_nodes(states, node)
    return state or NodeState()
