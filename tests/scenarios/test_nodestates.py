"""The node states of the scenarios, planned on the machines of their pages, and on these before anything was made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from hostdev.binding.effects import Outcome, describe
from hostdev.binding.reconcile import Change, plan_changes
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import read_states
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from tests.house import ROOT
from tests.scenarios.pages import FOLDER, PICTURES

FILES = ROOT / "tests/fixtures/scenarios/node"
MACHINES = {
    "intel-graphics": "machines/intel-igpu.toml",
    "network": "machines/two-socket-x710.toml",
    "harvester": "scenarios/hosts/harvester.toml",
    "qat": "machines/qat.toml",
    "kunpeng-bond": "machines/kunpeng.toml",
}
OUTCOMES = {
    "intel-graphics": {"nothing": 1},
    "network": {"nothing": 2, "planned": 3, "refused": 1},
    "harvester": {"nothing": 3},
    "qat": {"nothing": 3, "planned": 20},
    "kunpeng-bond": {"nothing": 3, "refused": 4},
}


def state(name: str) -> NodeState:
    (found,) = read_states((FILES / f"{name}.yaml").read_bytes(), name)
    return found


def machine(name: str) -> Machine:
    with open_host(ROOT / "tests/fixtures" / MACHINES[name]) as host:
        return scan(host)


def before(host: Machine) -> Machine:
    """The same host without a VF."""
    functions = {
        address: replace(one, num_vfs=0, virtfns=()) if one.num_vfs else one
        for address, one in host.functions.items()
        if one.physfn is None
    }
    return replace(host, functions=functions)


def outcomes(changes: tuple[Change, ...]) -> Counter[str]:
    return Counter(str(change.effects.outcome) for change in changes)


def test_every_scenario_has_a_node_state() -> None:
    assert {file.stem for file in FILES.glob("*.yaml")} == set(MACHINES) == set(PICTURES)
    for name in MACHINES:
        page = (FOLDER / f"{name}.md").read_text()
        assert f"tests/fixtures/scenarios/node/{name}.yaml" in page


@pytest.mark.parametrize("name", MACHINES)
def test_a_node_state_is_planned_on_its_machine(name: str) -> None:
    assert outcomes(plan_changes(state(name), machine(name))) == OUTCOMES[name]


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_planned_touches_nothing_that_the_host_uses(name: str) -> None:
    host = machine(name)
    for change in plan_changes(state(name), host):
        if change.effects.outcome == Outcome.PLANNED:
            assert not any(host.functions[device].use.used for device in change.devices if device in host.functions)


def test_vfs_of_an_igpu_are_made_and_bound() -> None:
    (change,) = plan_changes(state("intel-graphics"), before(machine("intel-graphics")))
    lines = [describe(step).replace("/sys/bus/pci/", "") for step in change.effects.steps]

    assert change.effects.outcome == Outcome.PLANNED, change.effects.findings
    assert "echo 7 > devices/0000:00:02.0/sriov_numvfs" in lines
    made = lines.index("echo 7 > devices/0000:00:02.0/sriov_numvfs")
    assert lines[made + 1 : made + 3] == [
        "echo vfio-pci > devices/0000:00:02.1/driver_override",
        "echo 0000:00:02.1 > drivers_probe",
    ]
    assert sum(line.startswith("echo vfio-pci") for line in lines) == 7


@pytest.mark.parametrize("name", ["qat", "network", "kunpeng-bond", "harvester"])
def test_vfs_are_made_where_there_are_none(name: str) -> None:
    found = plan_changes(state(name), before(machine(name)))
    counts = [change for change in found if change.items[0].entry.place.startswith("virtualFunctions")]

    assert counts
    for change in counts:
        refused = {finding.code for finding in change.effects.findings if finding.severity == "error"}
        assert change.effects.outcome == Outcome.PLANNED, refused
