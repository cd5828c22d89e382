"""Settings of VFs: which values are taken, what of them is as it was declared, and that an undo gives them back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.binding.carry import carry
from hostdev.binding.drift import compare
from hostdev.binding.effects import Effects, Outcome, describe
from hostdev.binding.reconcile import plan_changes
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import read_states
from hostdev.binding.status import Standing, change_lines, standing_of
from hostdev.binding.vfs import HOST, NONE, vfs
from hostdev.binding.vfsettings import BY_NAME, UNREAD, Readings, Wanted, read_settings, read_vf_settings
from hostdev.inventory.host import Host
from tests.hostdev.binding.drivercore import DriverCore
from tests.hostdev.binding.hosts import means
from tests.hostdev.binding.ports import MAC, OTHER, PF, SERVICES, STATE, VFS, build_host, build_port, core_of, kept
from tests.hostdev.gate.build import at, in_use, machine


def _state(settings: str, count: int = 2, driver: str = "vfio-pci") -> NodeState:
    text = (
        "apiVersion: passgate.dev/v1\nkind: NodeState\nspec:\n  virtualFunctions:\n"
        f"  - {{match: {{address: '{PF}'}}, count: {count}, driver: {driver}, settings: {settings}}}\n"
    )
    (state,) = read_states(text.encode(), "node-state.yaml")
    return state


def _lines(effects: Effects) -> list[str]:
    return [describe(step).replace("/sys/bus/pci/devices/0000:3b:", "") for step in effects.steps]


@pytest.mark.parametrize(
    ("driver", "settings", "words"),
    [
        ("4xxx", {"cfg_services": "sym;asym;dc"}, "4xxx takes 2 services together"),
        ("6xxx", {"cfg_services": "sym;asym;dc"}, ""),
        ("4xxx", {"cfg_services": "sym;sym"}, "a service stands there twice"),
        ("4xxx", {"cfg_services": "dcc;sym"}, "dcc goes with no other service"),
        ("4xxx", {"cfg_services": "dcc"}, ""),
        ("420xx", {"cfg_services": "decomp"}, "420xx has no decomp"),
        ("c6xx", {"cfg_services": "sym"}, "c6xx has nothing of the kind"),
        ("xe", {"sched_priority": "normal"}, ""),
        ("xe", {"sched_priority": "high"}, "high is no value of it"),
        ("xe", {"0.sched_priority": "low"}, "it is of the PF, and of no single VF"),
        ("xe", {"vram_quota": "1073741824"}, ""),
        ("xe", {"0.vram_quota": "1073741824"}, "VF 1 would have no memory"),
        ("xe", {"0.vram_quota": "1073741824", "1.vram_quota": "1"}, ""),
        ("ice", {"trust": "on", "spoofchk": "off"}, ""),
        ("ice", {"trust": "yes"}, "yes is no value of it"),
        ("ice", {"vgpu_type": "7"}, "ice has nothing of the kind"),
    ],
)
def test_a_value_is_taken_or_refused_with_why(driver: str, settings: dict[str, str], words: str) -> None:
    wanted, against = read_settings(build_port(driver), 2, settings)

    assert [words in one.message for one in against] == ([True] if words else [])
    assert len(wanted) == len(settings) - len([one for one in against if "no memory" not in one.message])


@pytest.mark.parametrize(
    ("name", "want", "have", "kept"),
    [
        ("cfg_services", "sym;asym", "asym;sym", True),
        ("cfg_services", "sym", "asym;sym", False),
        ("sched_priority", "low", "[low] normal", True),
        ("sched_priority", "normal", "[low] normal", False),
        ("vram_quota", "1000000000", "1000341504", True),
        ("vram_quota", "1073741824", "2147483648", False),
        ("vram_quota", "1073741824", "0", False),
        ("vlan", "7", "7", True),
        ("mac", MAC, OTHER, False),
    ],
)
def test_what_is_read_is_compared_as_the_kernel_means_it(name: str, want: str, have: str, *, kept: bool) -> None:
    assert BY_NAME[name].is_kept(want, have) is kept


@pytest.mark.parametrize("driver", ["vfio-pci", NONE])
def test_a_vgpu_type_needs_the_driver_of_the_host(driver: str) -> None:
    plan = vfs(host := build_host(driver="nvidia"), host.functions[at(PF)], 2, {"vgpu_type": "7"}, driver=driver)

    assert plan.outcome == Outcome.REFUSED
    assert "the VF has it from the driver of its PF" in plan.findings[0].message


def test_a_vgpu_type_is_written_where_the_vfs_are_made_already() -> None:
    host = build_host(driver="nvidia", vf_driver="nvidia")

    plan = vfs(host, host.functions[at(PF)], 2, {"0.vgpu_type": "1155"}, driver=HOST)

    assert _lines(plan) == ["echo 1155 > 02.0/nvidia/current_vgpu_type"]


@pytest.mark.parametrize(("count", "verb"), [(1, "-e"), (0, "-d")])
def test_vfs_of_an_nvidia_gpu_are_made_by_its_own_tool(count: int, verb: str) -> None:
    host = build_host(driver="nvidia", vf_driver="nvidia")

    plan = vfs(host, host.functions[at(PF)], count, driver=HOST)

    (finding,) = plan.findings
    assert (plan.outcome, finding.code) == (Outcome.REFUSED, "no-vfs-possible")
    assert finding.hint == f"/usr/lib/nvidia/sriov-manage {verb} {PF}"


@pytest.mark.parametrize(("count", "code"), [(3, "vfs-all-or-none"), (8, ""), (0, ""), (9, "too-many-vfs")])
def test_a_port_of_quickassist_makes_all_or_none(count: int, code: str) -> None:
    host = machine(build_port("4xxx"))

    plan = vfs(host, host.functions[at(PF)], count, driver=NONE)

    assert [one.code for one in plan.findings] == ([code] if code else [])


def test_files_of_drivers_are_read_and_what_is_not_there_is_unknown(tmp_path: Path) -> None:
    device = tmp_path / "sys/bus/pci/devices" / PF
    for place, text in {
        "sriov_admin/vf1/profile/exec_quantum_ms": "10\n",
        "sriov_admin/vf2/profile/exec_quantum_ms": "20\n",
        "sriov_admin/vf1/profile/sched_priority": "low [normal]\n",
    }.items():
        (device / place).parent.mkdir(parents=True, exist_ok=True)
        (device / place).write_text(text)
    port = build_host(driver="xe").functions[at(PF)]

    readings = read_vf_settings(Host(tmp_path), [port])

    def of(name: str, vf_number: int | None = None) -> str | None:
        return readings.of(port.address, Wanted(BY_NAME[name], "", vf_number))

    assert (of("exec_quantum_ms", 0), of("exec_quantum_ms", 1)) == ("10", "20")
    assert of("sched_priority") == "normal"
    assert of("vram_quota", 0) is None


def test_of_a_recording_nothing_is_asked_by_netlink(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()

    assert read_vf_settings(Host(tmp_path), [build_host().functions[at(PF)]]) == Readings({})


def _standings(settings: str, kernel: DriverCore, readings: Readings | None = None) -> list[tuple[str, str]]:
    port = kernel.machine.functions[at(PF)]
    seen = kernel.vf_settings([port]) if readings is None else readings
    changes = plan_changes(_state(settings), kernel.machine, readings=seen)
    lines = change_lines(changes, lambda _address: None)
    return [(str(line.device), str(line.standing)) for line in lines]


def test_a_setting_that_differs_is_drift_of_its_vf() -> None:
    kernel = core_of(build_host())
    kernel.settings |= kept(0, "mac", OTHER) | kept(0, "vlan", "7") | kept(1, "vlan", "7")
    readings = kernel.vf_settings([kernel.machine.functions[at(PF)]])

    items = compare(_state(f"{{0.mac: '{MAC}', vlan: 7}}"), kernel.machine, readings)

    assert [(str(one.device), [tuple(d)[:3] for d in one.drift]) for one in items] == [
        (PF, []),
        (VFS[0], [("mac", MAC, OTHER)]),
    ]


def test_settings_that_are_as_declared_are_held() -> None:
    kernel = core_of(build_host())
    kernel.settings |= kept(0, "mac", MAC) | kept(1, "trust", "on") | kept(0, "trust", "on")

    assert _standings(f"{{0.mac: '{MAC}', trust: 'on'}}", kernel) == [(PF, "held")]


def test_settings_that_cannot_be_read_are_unknown_and_nothing_is_written() -> None:
    kernel = core_of(build_host())
    (change,) = plan_changes(_state("{vlan: 7}"), kernel.machine)

    assert _standings("{vlan: 7}", kernel, UNREAD) == [(PF, "unknown")]
    assert (change.effects.outcome, [one.code for one in change.effects.findings]) == (
        Outcome.NOTHING,
        ["settings-not-read"],
    )
    assert "vlan of VF 0, vlan of VF 1 could not be read" in change.effects.findings[0].message


def test_what_drifted_is_set_again_and_nothing_else(tmp_path: Path) -> None:
    kernel = core_of(build_host())
    kernel.settings |= kept(0, "vlan", "7") | kept(1, "vlan", "8")
    readings = kernel.vf_settings([kernel.machine.functions[at(PF)]])

    _, change = plan_changes(_state("{vlan: 7}"), kernel.machine, readings=readings)
    done = carry(change.effects, kernel.machine, means(kernel, tmp_path), change.what)

    assert _lines(change.effects) == ["ip link set dev ens1f0 vf 1 vlan 7"]
    assert done.outcome == Outcome.DONE, done.findings
    assert _standings("{vlan: 7}", kernel) == [(PF, "held")]


def test_a_vf_that_a_vm_has_is_waited_for(tmp_path: Path) -> None:
    kernel = core_of(build_host())
    kernel.held.add(PciAddress.parse(VFS[1]))
    readings = kernel.vf_settings([kernel.machine.functions[at(PF)]])
    _, _, change = plan_changes(_state("{vlan: 7}"), kernel.machine, readings=readings)

    done = carry(change.effects, kernel.machine, means(kernel, tmp_path), change.what)

    assert (done.outcome, [one.code for one in done.findings]) == (Outcome.REFUSED, ["device-in-use"])
    assert standing_of(change.items[0], done) is Standing.WAITING
    assert not kernel.settings


def test_an_interface_that_the_host_uses_keeps_its_mac(tmp_path: Path) -> None:
    kernel = core_of(build_host(vf_driver="icevf"))
    used = replace(kernel.machine.functions[at(VFS[0])], use=in_use("eth0 (default route)", layer="net"))
    kernel.machine = replace(kernel.machine, functions={**kernel.machine.functions, used.address: used})
    plan = vfs(kernel.machine, kernel.machine.functions[at(PF)], 2, {"0.mac": MAC}, driver=HOST)

    done = carry(plan, kernel.machine, means(kernel, tmp_path))

    assert (done.outcome, kernel.settings) == (Outcome.REFUSED, {})


def test_a_wrong_driver_and_a_wrong_setting_are_mended_together() -> None:
    kernel = core_of(build_host(vf_driver="icevf"))
    readings = kernel.vf_settings([kernel.machine.functions[at(PF)]])

    _, first, _ = plan_changes(_state("{vlan: 7}"), kernel.machine, readings=readings)

    assert _lines(first.effects)[0] == "ip link set dev ens1f0 vf 0 vlan 7"
    assert [one.what for one in first.items[0].drift] == ["vlan", "driver"]


def _accelerator(services: str = "sym;asym") -> DriverCore:
    kernel = core_of(build_host(driver="4xxx", total_vfs=2))
    kernel.files |= {STATE: "up", SERVICES: ";".join(sorted(services.split(";")))}
    return kernel


def test_services_in_another_order_are_held() -> None:
    assert _standings("{cfg_services: 'sym;asym'}", _accelerator()) == [(PF, "held")]


def test_other_services_make_the_vfs_anew(tmp_path: Path) -> None:
    kernel = _accelerator()
    readings = kernel.vf_settings([kernel.machine.functions[at(PF)]])
    (change,) = plan_changes(_state("{cfg_services: dc}"), kernel.machine, readings=readings)

    assert [tuple(one)[:3] for one in change.items[0].drift] == [("cfg_services", "dc", "asym;sym")]
    done = carry(change.effects, kernel.machine, means(kernel, tmp_path), change.what)
    assert done.outcome == Outcome.DONE, done.findings
    assert (kernel.files[STATE], kernel.files[SERVICES]) == ("up", "dc")
    assert _standings("{cfg_services: dc}", kernel) == [(PF, "held")]


def test_services_that_are_so_take_no_vf_away() -> None:
    kernel = _accelerator()
    port = kernel.machine.functions[at(PF)]

    plan = vfs(kernel.machine, port, 2, {"cfg_services": "asym;sym"}, readings=kernel.vf_settings([port]))

    assert plan.outcome == Outcome.NOTHING
