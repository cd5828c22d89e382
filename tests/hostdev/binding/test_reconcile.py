"""From what differs to changes: in which transactions, and what becomes of them on the driver core in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hostdev.binding.carry import carry
from hostdev.binding.effects import Outcome, describe
from hostdev.binding.reconcile import Change, plan_changes
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import read_states
from hostdev.binding.status import Standing, change_lines
from hostdev.inventory.machine import Machine
from tests.hostdev.binding.drivercore import DriverCore
from tests.hostdev.binding.hosts import CARD, DISK, core, means
from tests.hostdev.binding.ports import PF, VFS, build_host
from tests.hostdev.cli.running import machine as recorded
from tests.hostdev.gate.build import at

WHOLE_CARD = "{devices: [{match: {address: 01:00.0}, driver: vfio-pci, withGroup: true}]}"
EACH = "{devices: [" + ", ".join(f"{{match: {{address: {one}}}, driver: auto}}" for one in CARD) + "]}"


def state(spec: str) -> NodeState:
    (read,) = read_states(f"apiVersion: passgate.dev/v1\nkind: NodeState\nspec: {spec}".encode(), "-")
    return read


def planned(spec: str, host: Machine) -> tuple[Change, ...]:
    return plan_changes(state(spec), host)


def outcomes(spec: str, host: Machine) -> list[tuple[str, str]]:
    return [(change.entry, str(change.effects.outcome)) for change in planned(spec, host)]


def standings(spec: str, host: Machine) -> list[str]:
    return [str(line.standing) for line in change_lines(planned(spec, host), lambda _address: None)]


def applied(spec: str, kernel: DriverCore, directory: Path) -> list[str]:
    """Carry every change out, each planned on the machine as it is by then."""
    ended = []
    for number in range(len(planned(spec, kernel.machine))):
        changes = planned(spec, kernel.machine)
        if number < len(changes):
            effects = carry(changes[number].effects, kernel.machine, means(kernel, directory), changes[number].what)
            ended.append(str(effects.outcome))
    return ended


def test_what_is_held_has_nothing_to_do() -> None:
    spec = "{virtualFunctions: [{match: {address: 3d:00.0}, count: 16, driver: vfio-pci}]}"

    assert outcomes(spec, recorded("qat")) == [("virtualFunctions[0]", "nothing")]
    assert standings(spec, recorded("qat")) == ["held"]


def test_members_of_a_group_are_one_transaction() -> None:
    (change,) = planned(EACH, recorded("consumer-gpu"))

    assert change.entry == "devices[0], devices[1], devices[2], devices[3]"
    assert [str(device) for device in change.devices] == list(CARD)


def test_what_another_entry_is_refused_stops_none(tmp_path: Path) -> None:
    kernel = core("hgx-h100")
    spec = (
        "{devices: [{match: {address: 0000:ff:00.0}, driver: vfio-pci},"
        f" {{match: {{address: {DISK}}}, driver: vfio-pci}}]}}"
    )

    assert outcomes(spec, kernel.machine) == [("devices[0]", "refused"), ("devices[1]", "planned")]
    assert applied(spec, kernel, tmp_path) == ["refused", "done"]
    assert standings(spec, kernel.machine) == ["refused", "held"]


def test_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    kernel = core("hgx-h100")
    spec = f"{{devices: [{{match: {{address: {DISK}}}, driver: vfio-pci}}]}}"

    assert applied(spec, kernel, tmp_path) == ["done"]
    assert applied(spec, kernel, tmp_path) == ["nothing"]
    back = f"{{devices: [{{match: {{address: {DISK}}}, driver: nvme}}]}}"
    assert applied(back, kernel, tmp_path) == ["done"]
    assert standings(back, kernel.machine) == ["held"]


def test_a_device_that_a_vm_has_is_waited_for(tmp_path: Path) -> None:
    kernel = core("hgx-h100")
    applied(f"{{devices: [{{match: {{address: {DISK}}}, driver: vfio-pci}}]}}", kernel, tmp_path)
    (function,) = [one for one in kernel.machine.functions.values() if str(one.address) == DISK]
    kernel.held.add(function.address)
    back = f"{{devices: [{{match: {{address: {DISK}}}, driver: nvme}}]}}"

    (change,) = planned(back, kernel.machine)
    effects = carry(change.effects, kernel.machine, means(kernel, tmp_path), change.what)
    (line,) = change_lines([change._replace(effects=effects)], lambda _address: None)

    assert effects.outcome == Outcome.REFUSED
    assert line.standing is Standing.WAITING
    assert "is held by a VM" in line.findings[0].message


def test_a_group_that_the_host_uses_needs_consent() -> None:
    without = WHOLE_CARD.replace(", withGroup: true", "")
    host = recorded("consumer-gpu")
    spec = without.replace("01:00.0", "01:00.1")

    codes = {finding.code for change in planned(spec, host) for finding in change.effects.findings}
    assert "group-needs-consent" in codes
    (change,) = planned(spec.replace("vfio-pci}", "vfio-pci, withGroup: true}"), host)
    assert "group-needs-consent" not in {finding.code for finding in change.effects.findings}


def test_an_entry_for_vfs_that_are_not_made_yet_waits_for_them() -> None:
    spec = (
        "{virtualFunctions: [{match: {address: 3b:00.1}, count: 4}],"
        " devices: [{match: {address: 3b:0f.0}, driver: vfio-pci}]}"
    )
    _, change = planned(spec, recorded("two-socket-x710"))

    assert change.effects.outcome == Outcome.NOTHING
    assert change.effects.findings[0].hint == "if it is a VF, it is looked for again once the VFs are made"
    assert standings(spec, recorded("two-socket-x710")) == ["drifted", "refused"]


def test_an_override_that_stayed_at_a_vf_is_cleared() -> None:
    """The VF is on its driver: the next probe would take it away."""
    host = build_host(1, vf_driver="icevf")
    vf = replace(host.functions[at(VFS[0])], driver_override="vfio-pci")
    host = replace(host, functions={**host.functions, vf.address: vf})

    _, change = planned(f"{{virtualFunctions: [{{match: {{address: {PF}}}, count: 1, driver: icevf}}]}}", host)

    assert [one.what for one in change.items[0].drift] == ["driver_override"]
    assert [describe(step) for step in change.effects.steps] == [
        f"echo > /sys/bus/pci/devices/{VFS[0]}/driver_override"
    ]


@pytest.mark.parametrize("name", ["consumer-gpu", "qat", "two-socket-x710", "kunpeng", "nvme-in-gpu-group", "vmd"])
def test_no_file_takes_a_disk_or_a_network_from_its_host(name: str) -> None:
    """Whatever a file asks for, what the host uses is refused."""
    host = recorded(name)
    spec = "{devices: [{match: {class: storage}, driver: vfio-pci}, {match: {class: network}, driver: vfio-pci}]}"

    for change in planned(spec, host):
        touched = [host.functions[device] for device in change.devices if device in host.functions]
        if any(function.use.used for function in touched if function.driver):
            assert change.effects.outcome in {Outcome.REFUSED, Outcome.NOTHING}
