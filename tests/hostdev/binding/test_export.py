"""A node as a file: on the same node, nothing of it differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hostdev.binding.bootline import read_boot
from hostdev.binding.drift import compare
from hostdev.binding.effects import Effects, Outcome
from hostdev.binding.export import export
from hostdev.binding.statefile import read_states, state_for
from hostdev.binding.status import Standing, kernel_lines, standing_of
from hostdev.inventory.host import Host
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.cli.running import MACHINES
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.machines.realhosts import RealHost, real_hosts

SCENARIOS = MACHINES.parent / "scenarios/hosts"
NOTHING = Effects("", Outcome.NOTHING)
RECORDED = sorted([*MACHINES.glob("*.toml"), *SCENARIOS.glob("*.toml")])


def holds(host: Host, *, by_path: bool) -> None:
    machine = scan(host)
    boot = read_boot(host, machine)
    document = export(machine, boot, by_path=by_path)
    assert list(errors(document, schema("nodestate.json"))) == []
    state = state_for(read_states(json.dumps(document).encode(), "exported"), machine, None)
    assert state is not None
    standings = [standing_of(item, NOTHING) for item in compare(state, machine)]
    standings += [line.standing for line in kernel_lines(state, boot)]
    assert set(standings) <= {Standing.HELD}


@pytest.mark.parametrize("by_path", [False, True], ids=["address", "path"])
@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_machine_holds_what_it_exports(file: Path, *, by_path: bool) -> None:
    with open_host(file) as host:
        holds(host, by_path=by_path)


@pytest.mark.parametrize("real", real_hosts().values(), ids=lambda real: real.name)
def test_a_real_host_holds_what_it_exports(real: RealHost, tmp_path: Path) -> None:
    layout.write(real.recording(), tmp_path)
    with Host(tmp_path) as host:
        holds(host, by_path=False)
