"""A node beside its state: what is held, what differs, and what may not be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hostdev.binding.drift import Drift, Item, compare
from hostdev.binding.effects import Effects, Outcome
from hostdev.binding.statefile import read_states
from hostdev.binding.status import Standing, standing_of
from hostdev.inventory.machine import Machine, PciFunction
from tests.hostdev.gate.build import at, function, machine, pf, vf

NOTHING = Effects("", Outcome.NOTHING)
NIC = function("0000:41:00.0", vendor=0x8086, device=0x1572, driver="i40e", group=1)
DISK = function("0000:42:00.0", vendor=0x144D, device=0xA808, class_code=0x010802, driver="nvme", group=2)


def vfs(number: int, driver: str | None = "vfio-pci") -> tuple[PciFunction, ...]:
    """A PF with so many VFs."""
    names = [f"0000:81:02.{index}" for index in range(number)]
    return (
        pf("0000:81:00.0", num_vfs=number, virtfns=tuple(map(at, names)), group=10),
        *(vf(name, "0000:81:00.0", driver=driver, group=20 + index) for index, name in enumerate(names)),
    )


def items(spec: str, host: Machine) -> tuple[Item, ...]:
    (state,) = read_states(f"apiVersion: passgate.dev/v1\nkind: NodeState\nspec: {spec}".encode(), "-")
    return compare(state, host)


def told(spec: str, host: Machine) -> list[tuple[str, str, str]]:
    """Entry, device and standing of every item."""
    found = items(spec, host)
    return [(one.entry.place, str(one.device), str(standing_of(one, NOTHING))) for one in found]


def test_a_device_on_its_driver_is_held() -> None:
    spec = "{devices: [{match: {id: 8086:1572}, driver: vfio-pci}, {match: {class: nvme}, driver: nvme}]}"
    host = machine(replace(NIC, driver="vfio-pci"), DISK)

    assert told(spec, host) == [("devices[0]", "0000:41:00.0", "held"), ("devices[1]", "0000:42:00.0", "held")]


def test_a_driver_that_differs_is_drift() -> None:
    (item,) = items("{devices: [{match: {address: 41:00.0, id: 8086:1572}, driver: vfio-pci}]}", machine(NIC))

    assert item.drift == (Drift("driver", "vfio-pci", "i40e"),)
    assert standing_of(item, NOTHING) is Standing.DRIFTED


def test_no_driver_is_drift() -> None:
    host = machine(replace(NIC, driver=None))
    (item,) = items("{devices: [{match: {id: 8086:1572}, driver: auto}]}", host)

    assert item.drift == (Drift("driver", "a vfio driver", None),)


def test_an_override_that_waits_for_the_next_probe_is_drift() -> None:
    host = machine(replace(NIC, driver_override="vfio-pci"))
    (item,) = items("{devices: [{match: {id: 8086:1572}, driver: i40e}]}", host)

    assert item.drift == (Drift("driver_override", None, "vfio-pci"),)


def test_another_device_at_the_address_is_refused() -> None:
    (item,) = items("{devices: [{match: {address: 41:00.0, id: 10de:1eb8}, driver: vfio-pci}]}", machine(NIC))
    (finding,) = item.findings

    assert (finding.code, finding.subject) == ("identity-changed", "0000:41:00.0")
    assert finding.message == "devices[0]: is 8086:1572 and not 10de:1eb8"
    assert finding.evidence[1].content == "0x1572"
    assert standing_of(item, NOTHING) is Standing.REFUSED


@pytest.mark.parametrize("match", ["{address: 43:00.0}", "{id: 10de:1eb8}", "{path: 'pci0000:00/01.0'}"])
def test_a_device_that_is_not_there_is_refused(match: str) -> None:
    (item,) = items(f"{{devices: [{{match: {match}, driver: vfio-pci}}]}}", machine(NIC))

    assert [finding.code for finding in item.findings] == ["entry-unmatched"]
    assert item.drift[0].have is None
    assert standing_of(item, NOTHING) is Standing.REFUSED


def test_a_host_that_cannot_be_read_is_unknown() -> None:
    host = machine(unread=(("/sys/bus/pci/devices", "Permission denied"),))
    (item,) = items("{devices: [{match: {address: 43:00.0}, driver: vfio-pci}]}", host)

    assert standing_of(item, NOTHING) is Standing.UNKNOWN


def test_a_driver_that_cannot_be_read_is_unknown() -> None:
    host = machine(replace(NIC, driver=None), unread=(("/sys/bus/pci/devices/0000:41:00.0/driver", "I/O error"),))

    assert told("{devices: [{match: {address: 41:00.0}, driver: vfio-pci}]}", host)[0][2] == "unknown"


def test_two_entries_that_quarrel_are_both_refused() -> None:
    spec = "{devices: [{match: {id: 8086:1572}, driver: vfio-pci}, {match: {class: ethernet}, driver: i40e}]}"
    one, two = items(spec, machine(NIC))

    assert [item.findings[0].code for item in (one, two)] == ["entries-conflict"] * 2
    assert one.findings[0].message == "devices[0] wants driver vfio-pci, devices[1] wants driver i40e"
    assert standing_of(two, NOTHING) is Standing.REFUSED


def test_an_entry_with_a_place_goes_before_one_without() -> None:
    spec = "{devices: [{match: {id: 8086:1572}, driver: vfio-pci}, {match: {address: 41:00.0}, driver: i40e}]}"

    assert told(spec, machine(NIC)) == [("devices[1]", "0000:41:00.0", "held")]


def test_the_number_of_vfs() -> None:
    spec = "{virtualFunctions: [{match: {address: 81:00.0}, count: 4, driver: vfio-pci}]}"

    assert told(spec, machine(*vfs(4))) == [("virtualFunctions[0]", "0000:81:00.0", "held")]
    assert items(spec, machine(*vfs(2)))[0].drift == (Drift("count", 4, 2),)
    assert items(spec, machine(*vfs(0)))[0].drift == (Drift("count", 4, 0),)


def test_the_drivers_of_vfs() -> None:
    spec = "{virtualFunctions: [{match: {address: 81:00.0}, count: 2, driver: vfio-pci}]}"
    pf_, *others = items(spec, machine(*vfs(2, "iavf")))

    assert pf_.drift == ()
    assert [(str(one.device), one.drift) for one in others] == [
        ("0000:81:02.0", (Drift("driver", "vfio-pci", "iavf"),)),
        ("0000:81:02.1", (Drift("driver", "vfio-pci", "iavf"),)),
    ]
    assert len(items(spec.replace(", driver: vfio-pci", ""), machine(*vfs(2, "iavf")))) == 1


def test_a_vf_with_an_entry_of_its_own_does_not_follow_its_pf() -> None:
    spec = (
        "{virtualFunctions: [{match: {address: 81:00.0}, count: 2, driver: vfio-pci}],"
        " devices: [{match: {address: 81:02.1}, driver: iavf}]}"
    )
    first, own = vfs(2)[:2], vfs(2, "iavf")[2]

    assert told(spec, machine(*first, own)) == [
        ("virtualFunctions[0]", "0000:81:00.0", "held"),
        ("devices[0]", "0000:81:02.1", "held"),
    ]


def test_a_function_without_sriov_cannot_have_vfs() -> None:
    (item,) = items("{virtualFunctions: [{match: {address: 41:00.0}, count: 4}]}", machine(NIC))

    assert item.drift == (Drift("count", 4, None),)


def test_entries_without_a_place_mean_pfs_only_where_vfs_are_counted() -> None:
    spec = "{virtualFunctions: [{match: {class: ethernet}, count: 2}]}"

    assert told(spec, machine(NIC, *vfs(2))) == [("virtualFunctions[0]", "0000:81:00.0", "held")]
