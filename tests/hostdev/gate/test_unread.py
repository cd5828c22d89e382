"""What could not be seen is neither passed nor failed, and it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domxml.finding import Severity
from hostdev.gate.check import check, verdict_of
from hostdev.gate.doctor import Status, checks
from hostdev.gate.group import group_verdict
from hostdev.inventory.machine import Iommu, Machine, Vfio
from tests.hostdev.gate.build import IOMMU, MODULES, at, function, machine

D = "0000:65:00.0"
EIO = "Input/output error"
REAL = f"/sys/devices/pci0000:64/0000:64:00.0/{D}"


def _open(host: Machine) -> bool:
    """The device neither passes nor is refused, and a finding tells why."""
    verdict = verdict_of(host, at(D))
    told = [f for f in verdict.findings if f.code == "host-unreadable"]
    return not verdict.passes and not verdict.refused and bool(told)


@pytest.mark.parametrize("place", [f"/sys/bus/pci/devices/{D}", REAL])
def test_an_attribute_that_could_not_be_read(place: str) -> None:
    assert _open(machine(function(D), unread=((f"{place}/class", EIO),)))


@pytest.mark.parametrize("attribute", ["driver", "vfio-dev"])
def test_a_driver_that_could_not_be_read_is_not_none(attribute: str) -> None:
    assert _open(machine(function(D, driver=None), unread=((f"{REAL}/{attribute}", EIO),)))


def test_a_group_link_that_could_not_be_read() -> None:
    host = machine(function(D, group=None), function("0000:66:00.0"), unread=((f"{REAL}/iommu_group", EIO),))
    assert _open(host)


def test_the_bridge_above_is_another_device() -> None:
    host = machine(function(D), unread=(("/sys/devices/pci0000:64/0000:64:00.0/driver", EIO),))
    assert verdict_of(host, at(D)).passes


def test_a_device_that_could_not_be_read_at_all_is_not_missing() -> None:
    assert _open(machine(unread=((f"/sys/bus/pci/devices/{D}/vendor", EIO),)))


def test_no_device_is_missing_while_none_could_be_listed() -> None:
    assert _open(machine(unread=(("/sys/bus/pci/devices", "Permission denied"),)))


def test_a_group_that_is_not_in_the_picture() -> None:
    assert _open(replace(machine(function(D)), groups={}))


def test_groups_that_could_not_be_listed() -> None:
    hidden = Iommu(units=(), tables=None, groups_visible=False)
    assert _open(replace(machine(function(D, group=None)), iommu=hidden))
    host = replace(machine(), iommu=hidden)
    assert not [f for f in check(host, []) if f.severity is Severity.ERROR]
    groups = next(check for check in checks(host) if check.name == "iommu-groups")
    assert groups.status is Status.UNKNOWN


def test_a_path_is_told_once_by_itself_and_once_of_its_device() -> None:
    host = machine(function(D), unread=((f"{REAL}/class", EIO),))
    told = {f.subject: f.message for f in check(host, [at(D)])}
    assert told == {
        f"{REAL}/class": f"could not be read: {EIO}",
        D: f"{REAL}/class could not be read: {EIO}",
    }


def test_a_neighbour_that_could_not_be_read() -> None:
    host = machine(
        function(D),
        function("0000:65:00.1", driver=None),
        unread=(("/sys/bus/pci/devices/0000:65:00.1/driver", EIO),),
    )
    assert _open(host)
    assert not group_verdict(host, host.groups[43]).viable
    message = verdict_of(host, at(D)).findings[0].message
    assert message == "/sys/kernel/iommu_groups/43/devices/0000:65:00.1 is not to be seen: could not be read"


def test_a_device_whose_directory_could_not_be_read_hides_its_driver() -> None:
    host = machine(function(D, driver=None), function("0000:65:00.1", driver=None), unread=((REAL, EIO),))
    assert _open(host)
    other = verdict_of(host, at("0000:65:00.1"))
    assert "not-bound-to-vfio" in {finding.code for finding in other.findings}


def test_reserved_regions_that_could_not_be_read() -> None:
    assert _open(machine(function(D), unread=(("/sys/kernel/iommu_groups/43/reserved_regions", EIO),)))
    assert verdict_of(machine(function(D), unread=(("/sys/kernel/iommu_groups/4/type", EIO),)), at(D)).passes


CONTAINER = replace(
    machine(function(D)), iommu=replace(IOMMU, tables=None), vfio=Vfio({}, None), unread=(("/sys/module", "hidden"),)
)


def test_what_a_container_hides_is_told_and_decides_nothing() -> None:
    assert verdict_of(CONTAINER, at(D)).passes
    findings = check(CONTAINER, [at(D)])
    assert {finding.code for finding in findings} == {"host-unreadable"}
    assert {finding.severity for finding in findings} <= {Severity.INFO, Severity.WARNING}


def test_what_a_container_hides_is_unknown_to_the_doctor() -> None:
    unknown = {check.name for check in checks(CONTAINER, [at(D)]) if check.status is Status.UNKNOWN}
    assert unknown == {"firmware", "interrupts", "modules", "nodes", "node", "view"}
    assert all(check.findings for check in checks(CONTAINER) if check.status is Status.UNKNOWN)


def test_a_hidden_firmware_does_not_excuse_a_missing_iommu() -> None:
    host = replace(machine(function(D, group=None)), iommu=Iommu(units=(), tables=None))
    assert [f.code for f in verdict_of(host, at(D)).findings] == ["no-iommu"]


def test_each_hidden_place_has_its_own_advice() -> None:
    hints = {finding.subject: finding.hint for finding in check(CONTAINER, [at(D)])}
    assert hints["/dev/vfio"] == "look on the node itself, when VFIO is loaded"
    assert hints["/sys/firmware/acpi/tables"] == "look again as root on the node itself"
    assert "vfio_iommu_type1" in hints["/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"]


def test_a_kernel_that_does_not_tell_about_resets() -> None:
    verdict = verdict_of(machine(function(D, reset_methods=None)), at(D))
    assert verdict.passes
    assert [f.code for f in verdict.findings] == ["host-unreadable"]


def test_modules_are_missing_only_where_they_could_be_seen() -> None:
    bare = replace(machine(function(D, driver=None)), vfio=Vfio({}, ("vfio",)))
    assert "vfio-module-missing" in {f.code for f in check(bare, [])}
    hidden = replace(bare, unread=(("/sys/module", "Permission denied"),))
    assert "vfio-module-missing" not in {f.code for f in check(hidden, [])}
    above = replace(bare, unread=(("/sys", "Permission denied"),))
    assert "vfio-module-missing" not in {f.code for f in check(above, [])}
    below = replace(bare, unread=(("/sys/module/vfio_pci/parameters", "Permission denied"),))
    assert "vfio-module-missing" not in {f.code for f in check(below, [])}
    beside = replace(bare, unread=(("/sys/modules", "Permission denied"),))
    assert "vfio-module-missing" in {f.code for f in check(beside, [])}


def test_a_machine_that_shows_nothing_is_unknown_throughout() -> None:
    nothing = Machine(iommu=Iommu(groups_visible=False))
    found = checks(nothing)
    assert {check.status for check in found} == {Status.UNKNOWN}


def test_a_driver_in_use_proves_its_module() -> None:
    host = replace(machine(function(D)), vfio=Vfio({"vfio_iommu_type1": MODULES["vfio_iommu_type1"]}, ("vfio", "43")))
    assert check(host, [at(D)]) == ()
