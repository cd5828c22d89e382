"""Plans: what is done in which order, what is left alone, and what stands against it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domxml.pciaddress import PciAddress
from hostdev.binding.drivers import Drivers
from hostdev.binding.effects import Effects, Outcome, describe
from hostdev.binding.plan import bind, unbind
from hostdev.inventory.machine import Machine, PciFunction
from tests.hostdev.machines.fixtures import NAMES, picture

DISK = PciAddress.parse("0000:1c:00.0")
VARIANT = Drivers(frozenset({"nvme"}), {DISK: ("mlx5_vfio_pci",)}, {DISK: ("nvme",)}, looked_up=True)


def _host(**changes: object) -> tuple[Machine, PciFunction]:
    machine = picture("hgx-h100")
    function = replace(machine.functions[DISK], **changes)  # type: ignore[arg-type]
    return replace(machine, functions={**machine.functions, DISK: function}), function


def _lines(plan: Effects) -> list[str]:
    return [describe(step).replace("/sys/bus/pci/", "") for step in plan.steps]


def _codes(plan: Effects) -> set[str]:
    return {finding.code for finding in plan.findings}


def test_the_driver_is_loaded_first_where_the_kernel_has_it_not() -> None:
    machine, function = _host()

    plan = bind(machine, [function], drivers=Drivers(frozenset({"nvme"})))

    assert _lines(plan) == [
        "modprobe vfio-pci",
        f"echo vfio-pci > devices/{DISK}/driver_override",
        f"echo {DISK} > drivers/nvme/unbind",
        f"echo {DISK} > drivers_probe",
    ]


def test_a_variant_that_is_made_for_it_comes_before_vfio_pci() -> None:
    machine, function = _host()

    assert _lines(bind(machine, [function], drivers=VARIANT))[0] == "modprobe mlx5_vfio_pci"
    assert "vfio-pci" in _lines(bind(machine, [function], "vfio_pci", drivers=VARIANT))[0]


@pytest.mark.parametrize(
    ("changes", "driver", "code"),
    [
        ({}, "xe-vfio-pci", "driver-unfit"),
        ({}, "e1000e", "driver-unfit"),
        ({"driver_override": "uio_pci_generic"}, None, "override-of-another"),
        ({"removing": True}, None, "removal-pending"),
        ({"driver": "vfio-pci", "vfio_dev": None, "removing": True}, None, "removal-pending"),
        ({"bridge": True}, None, "not-an-endpoint"),
    ],
)
def test_what_stands_against_binding(changes: dict[str, object], driver: str | None, code: str) -> None:
    machine, function = _host(**changes)

    plan = bind(machine, [function], driver, drivers=VARIANT)

    assert (plan.outcome, plan.steps) == (Outcome.REFUSED, ())
    assert code in _codes(plan)


@pytest.mark.parametrize("code", ["override-of-another", "driver-unfit"])
def test_what_is_accepted_is_told_and_done(code: str) -> None:
    machine, function = _host(driver_override="uio_pci_generic")

    plan = bind(
        machine, [function], "xe-vfio-pci", despite=frozenset({"override-of-another", "driver-unfit"}), drivers=VARIANT
    )

    assert plan.outcome == Outcome.PLANNED
    assert code in _codes(plan)


def test_an_override_that_was_left_behind_is_cleared() -> None:
    """It would send the device to vfio-pci at the next unbind, or when libvirt ran."""
    machine, function = _host(driver_override="vfio-pci")

    assert _lines(unbind(machine, [function])) == [f"echo > devices/{DISK}/driver_override"]


ON_VFIO = {"driver": "vfio-pci", "driver_override": "vfio-pci", "vfio_dev": "vfio0"}


def test_it_goes_back_to_the_driver_that_had_it() -> None:
    """By an override of its own: an id that vfio-pci was given would win over no override."""
    machine, function = _host(**ON_VFIO)

    assert _lines(unbind(machine, [function], drivers=VARIANT, had={DISK: "nvme"})) == [
        f"echo nvme > devices/{DISK}/driver_override",
        f"echo {DISK} > drivers/vfio-pci/unbind",
        f"echo {DISK} > drivers_probe",
        f"echo > devices/{DISK}/driver_override",
    ]


def test_without_a_journal_it_goes_to_the_one_module_that_fits() -> None:
    machine, function = _host(**ON_VFIO)

    assert _lines(unbind(machine, [function], drivers=VARIANT))[0] == f"echo nvme > devices/{DISK}/driver_override"


def test_where_nothing_takes_it_that_is_told() -> None:
    machine, function = _host(**ON_VFIO)

    plan = unbind(machine, [function], drivers=Drivers(frozenset(), looked_up=True))

    assert _codes(plan) == {"no-host-driver"}
    assert _lines(plan) == [f"echo > devices/{DISK}/driver_override", f"echo {DISK} > drivers/vfio-pci/unbind"]


@pytest.mark.parametrize(("to", "code"), [("vfio-pci", "driver-unfit"), ("snd_hda_intel", "driver-unfit")])
def test_it_goes_to_no_driver_that_is_not_made_for_it(to: str, code: str) -> None:
    machine, function = _host(**ON_VFIO)

    assert code in _codes(unbind(machine, [function], to, drivers=VARIANT))


def test_an_id_that_vfio_pci_was_given_is_recognised() -> None:
    machine, function = _host(**{**ON_VFIO, "driver_override": None})

    assert "foreign-new-id" in _codes(bind(machine, [function]))
    assert "foreign-new-id" in _codes(unbind(machine, [function], drivers=VARIANT))


def test_what_else_waits_for_the_driver_is_told() -> None:
    machine, function = _host()
    other = replace(machine.functions[PciAddress.parse("0000:4d:00.0")], driver=None, driver_override="vfio-pci")
    machine = replace(machine, functions={**machine.functions, other.address: other})

    plan = bind(machine, [function], drivers=Drivers(frozenset({"nvme"})))

    assert [one.subject for one in plan.findings if one.code == "taken-when-loaded"] == [str(other.address)]


@pytest.mark.parametrize("name", NAMES)
def test_no_plan_writes_new_id_or_the_text_null(name: str) -> None:
    machine = picture(name)
    for function in machine.functions.values():
        for plan in (bind(machine, [function], with_group=True), unbind(machine, [function], with_group=True)):
            assert not any("new_id" in step.write or step.value in {"(null)", ""} for step in plan.steps)


@pytest.mark.parametrize("name", NAMES)
def test_no_bridge_and_no_part_of_the_board_is_in_a_plan(name: str) -> None:
    machine = picture(name)
    for function in machine.functions.values():
        devices = bind(machine, [function], with_group=True).devices
        assert not [one for one in devices if machine.functions[PciAddress.parse(one)].bridge]


@pytest.mark.parametrize("driver", ["nvme", "vfio-pci"])
def test_a_pf_with_vfs_is_taken_from_no_driver(driver: str) -> None:
    machine, function = _host(driver=driver, num_vfs=2)

    plan = unbind(machine, [function], "pci-stub")

    assert plan.outcome == Outcome.REFUSED
    assert "pf-with-vfs" in _codes(plan)


def test_an_override_beside_a_removal_that_waits_is_not_told_as_that_of_another() -> None:
    machine, function = _host(driver=None, driver_override="nvme", removing=True)

    for plan in (bind(machine, [function]), unbind(machine, [function])):
        assert "removal-pending" in _codes(plan)
        assert "override-of-another" not in _codes(plan)


def test_a_function_without_a_driver_is_freed_of_an_override_that_reads_like_none() -> None:
    machine, function = _host(driver=None, driver_override=None)

    plan = unbind(machine, [function], drivers=Drivers(frozenset(), {}, {DISK: ("one", "two")}, looked_up=True))

    assert f"echo > devices/{DISK}/driver_override" in _lines(plan)
    assert _lines(plan)[-1] == f"echo {DISK} > drivers_probe"
