"""The doctor: the order of its checks, and what it says when all is right."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from domxml.finding import Severity
from hostdev.gate.check import check
from hostdev.gate.doctor import Check, Status, checks
from hostdev.inventory.machine import Machine, Vfio
from tests.hostdev.gate.build import KERNEL, NO_IOMMU, at, bridge, function, machine, pf, vf
from tests.hostdev.gate.cases import CASES

D = "0000:65:00.0"
HOST = ["firmware", "command-line", "iommu-units", "iommu-groups", "interrupts", "modules", "nodes", "view"]
DEVICE = ["exists", "endpoint", "role", "group", "driver", "node", "reset", "numa", "host-use"]


def _by_name(host: Machine, *wanted: str) -> dict[str, Check]:
    return {check.name: check for check in checks(host, map(at, wanted or (D,)))}


def test_everything_right_is_said_line_by_line() -> None:
    found = checks(machine(function(D)), [at(D)])
    assert [check.name for check in found] == [*HOST, *DEVICE]
    assert {check.status for check in found} == {Status.PASS}
    assert all(check.detail and check.title and not check.findings for check in found)
    assert [check.subject for check in found] == ["host"] * len(HOST) + [D] * len(DEVICE)


def test_what_was_seen_is_said() -> None:
    details = {name: check.detail for name, check in _by_name(machine(function(D), bridge("0000:64:00.0"))).items()}
    assert details["firmware"] == "the firmware has DMAR"
    assert details["iommu-units"] == "dmar0, dmar1"
    assert details["iommu-groups"] == "1 IOMMU groups"
    assert details["modules"] == "vfio, vfio_iommu_type1, vfio_pci"
    assert details["nodes"] == "/dev/vfio/vfio is there"
    assert details["endpoint"] == "class 020000, 8086:1572"
    assert details["role"] == "a plain endpoint"
    assert details["group"] == "group 43: 0000:64:00.0 is a port on pcieport, which shares the group"
    assert details["driver"] == "it is on vfio-pci"
    assert details["node"] == "/dev/vfio/43 is there"
    assert details["reset"] == "by flr, bus"
    assert details["numa"] == "node 0"


def test_roles_are_said() -> None:
    assert _by_name(machine(vf(D, "0000:64:00.0")))["role"].detail == "a VF of 0000:64:00.0"
    idle = machine(pf(D, driver="vfio-pci"))
    assert _by_name(idle)["role"].detail == "a PF that could have 8 VFs and has none"


def test_a_host_without_an_iommu_fails_from_the_cause_down() -> None:
    host = replace(machine(function(D, group=None, driver=None)), iommu=NO_IOMMU, vfio=Vfio({}, ()))
    found = _by_name(host)
    assert found["firmware"].status is Status.PASS
    failed = [name for name, check in found.items() if check.status is Status.FAIL]
    assert failed == ["command-line", "iommu-units", "iommu-groups", "modules", "nodes", "group", "driver"]


def test_each_status_has_its_severity() -> None:
    host = machine(function(D, reset_methods=(), numa_node=None))
    found = _by_name(host)
    assert (found["reset"].status, found["numa"].status) == (Status.WARN, Status.INFO)
    assert found["reset"].detail == "cannot be reset"


def test_a_firmware_without_an_iommu_fails_only_where_the_kernel_has_none_either() -> None:
    off = replace(NO_IOMMU, tables=())
    assert _by_name(replace(machine(function(D, group=None)), iommu=off))["firmware"].status is Status.FAIL
    devicetree = _by_name(replace(machine(function(D)), iommu=replace(off, units=("smmu3.0",))))
    assert devicetree["firmware"].status is Status.PASS
    assert devicetree["firmware"].detail == "no DMAR, IVRS or IORT, but the kernel has an IOMMU"


def test_an_off_switch_that_did_nothing_is_said() -> None:
    amd = replace(KERNEL, cmdline="iommu=pt intel_iommu=off")
    assert _by_name(machine(function(D), kernel=amd))["command-line"].detail == (
        "intel_iommu=off did not turn this IOMMU off"
    )
    assert _by_name(machine(function(D)))["command-line"].detail == "nothing in it turns the IOMMU off"


def test_a_missing_device_is_asked_nothing_more() -> None:
    found = [check for check in checks(machine(), [at(D)]) if check.subject == D]
    assert [(check.name, check.status) for check in found] == [("exists", Status.FAIL)]


def test_a_bridge_is_asked_nothing_more() -> None:
    found = [check for check in checks(machine(bridge(D)), [at(D)]) if check.subject == D]
    assert [(check.name, check.status) for check in found] == [("exists", Status.PASS), ("endpoint", Status.FAIL)]


def test_without_devices_only_the_host_is_asked() -> None:
    assert [check.name for check in checks(machine(function(D)))] == HOST


def test_a_device_is_asked_once() -> None:
    assert len(checks(machine(function(D)), [at(D), at(D)])) == len(HOST) + len(DEVICE)


@given(st.sampled_from(sorted(CASES)))
def test_the_doctor_and_the_gate_find_the_same(code: str) -> None:
    case = CASES[code]
    together = {"duplicate-device", "device-in-use", "group-split", "mdev-missing"}
    by_gate = {finding for finding in case.findings() if finding.code not in together}
    found = checks(case.host, map(at, case.wanted))
    assert {finding for each in found for finding in each.findings} == by_gate
    for each in found:
        errors = any(finding.severity is Severity.ERROR for finding in each.findings)
        assert (each.status is Status.FAIL) is errors
        if each.name != "view":
            assert (each.status is Status.PASS) is (not each.findings)


@given(st.sampled_from(sorted(CASES)))
def test_everything_could_be_read_is_never_said_beside_an_unknown(code: str) -> None:
    found = checks(CASES[code].host, map(at, CASES[code].wanted))
    (view,) = (each for each in found if each.name == "view")
    unknown = [each.name for each in found if each.status is Status.UNKNOWN]
    assert (view.status is Status.PASS) is (not unknown)
    assert view.findings or all(name in view.detail for name in unknown if name != "view")


def test_a_right_machine_passes_the_gate_with_the_doctor() -> None:
    host = machine(function(D))
    assert check(host, [at(D)]) == ()
