"""The host's own findings: firmware, command line, IOMMU, interrupts, modules, nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from domxml.finding import Finding, Severity
from hostdev.gate import iommu
from hostdev.gate.check import check
from hostdev.gate.doctor import checks
from hostdev.inventory.machine import Iommu, IommuGroup, Kernel, Machine, Vfio
from tests.hostdev.gate.build import KERNEL, MODULES, NO_IOMMU, at, function, machine

D = "0000:65:00.0"
BARE = replace(machine(function(D, group=None)), iommu=NO_IOMMU)


def _of(host: Machine, code: str) -> Finding:
    found = [finding for finding in check(host, []) if finding.code == code]
    assert len(found) == 1
    return found[0]


def _codes(host: Machine) -> set[str]:
    return {finding.code for finding in check(host, [])}


@pytest.mark.parametrize(
    ("tables", "line", "message", "hint"),
    [
        (("DMAR",), "quiet", ", though the firmware has DMAR", "add intel_iommu=on"),
        (("IVRS",), "quiet", ", though the firmware has IVRS", "AMD-Vi"),
        (("IORT",), "quiet", ", though the firmware has IORT", "smmu"),
        (("DMAR",), "quiet intel_iommu=off", ", though the firmware has DMAR", "remove intel_iommu=off"),
        ((), "quiet", ", and the firmware has no table of one", "in the firmware's setup"),
        (None, "quiet", "", "turn the IOMMU on in the firmware"),
    ],
)
def test_a_missing_iommu_is_told_with_its_cause(
    tables: tuple[str, ...] | None, line: str, message: str, hint: str
) -> None:
    host = replace(BARE, iommu=Iommu(tables=tables), kernel=replace(KERNEL, cmdline=line))
    finding = _of(host, "no-iommu")
    assert finding.message == f"the kernel has no IOMMU groups{message}"
    assert hint in finding.hint
    evidence = {e.file: e.content for e in finding.evidence}
    assert evidence["/sys/kernel/iommu_groups"] == "(empty)"
    assert evidence.get("/sys/firmware/acpi/tables") == (
        None if tables is None else " ".join(tables) or "no DMAR, IVRS, IORT"
    )
    assert (finding.subject, finding.severity) == ("host", Severity.ERROR)


def test_a_host_with_units_has_an_iommu_although_no_device_here_has_a_group() -> None:
    assert "no-iommu" not in _codes(machine(function(D, group=None)))


def test_the_missing_iommu_is_told_once_for_several_devices() -> None:
    host = replace(machine(function(D, group=None), function("0000:66:00.0", group=None)), iommu=NO_IOMMU)
    findings = check(host, [at(D), at("0000:66:00.0")])
    assert [finding.subject for finding in findings if finding.code == "no-iommu"] == ["host"]
    assert "no-iommu-group" not in {finding.code for finding in findings}


@pytest.mark.parametrize(
    ("line", "token"),
    [
        ("quiet", None),
        ("intel_iommu=on iommu=pt", None),
        ("iommu=off", "iommu=off"),
        ("amd_iommu=off", "amd_iommu=off"),
        ("intel_iommu=off", "intel_iommu=off"),
        ("intel_iommu=off intel_iommu=on", None),
        ("intel_iommu=on intel_iommu=off,sm_on", "intel_iommu=off,sm_on"),
        ("iommu.strict=0 my_iommu=off iommu=soft", None),
    ],
)
def test_the_option_that_turns_the_iommu_off(line: str, token: str | None) -> None:
    assert iommu.off_switch(line) == token


@pytest.mark.parametrize(
    ("find", "line", "expected"),
    [
        (iommu.remapping_switch, "nointremap", "nointremap"),
        (iommu.remapping_switch, "intremap=off", "intremap=off"),
        (iommu.remapping_switch, "intremap=nosid", None),
        (iommu.overrides_acs, "pcie_acs_override=downstream", "pcie_acs_override=downstream"),
        (iommu.overrides_acs, "acs=1", None),
        (iommu.passes_host_dma, "iommu=pt", True),
        (iommu.passes_host_dma, "iommu.passthrough=1", True),
        (iommu.passes_host_dma, "iommu.passthrough=0 iommu=nopt", False),
    ],
)
def test_other_options(find: Callable[[str], object], line: str, expected: object) -> None:
    assert find(line) == expected


def test_an_off_switch_that_does_not_concern_this_iommu() -> None:
    assert _codes(machine(function(D), kernel=replace(KERNEL, cmdline="amd_iommu=off"))) == set()


def test_an_identity_group_means_that_the_hosts_dma_passes() -> None:
    quiet = replace(KERNEL, cmdline="quiet")
    assert _codes(machine(function(D), kernel=quiet)) == {"iommu-passthrough-off"}
    host = machine(function(D), kernel=quiet, groups={43: IommuGroup(43, (at(D),), type="identity")})
    assert _codes(host) == set()


def test_some_groups_without_an_iommu_are_no_error_of_the_host() -> None:
    groups = {0: IommuGroup(0, (at(D),), name="vfio-noiommu"), 1: IommuGroup(1, (at("0000:66:00.0"),))}
    host = machine(function(D, group=0), function("0000:66:00.0", group=1), groups=groups)
    assert _of(host, "noiommu-group").severity is Severity.WARNING
    assert not [f for f in check(host, [at("0000:66:00.0")]) if f.severity is Severity.ERROR]
    assert [f.subject for f in check(host, [at(D)]) if f.severity is Severity.ERROR] == [D]


def test_groups_without_an_iommu_are_no_iommu() -> None:
    groups = {0: IommuGroup(0, (at(D),), name="vfio-noiommu")}
    finding = _of(machine(function(D, group=0), groups=groups, iommu=NO_IOMMU), "no-iommu")
    assert finding.evidence[0].content == "only vfio-noiommu"


def test_unsafe_interrupts_excuse_missing_remapping() -> None:
    unsafe = Vfio({**MODULES, "vfio_iommu_type1": {"allow_unsafe_interrupts": "Y"}}, ("vfio", "43"))
    host = machine(function(D), kernel=replace(KERNEL, cmdline="iommu=pt intremap=off"), vfio=unsafe)
    assert _codes(host) == {"unsafe-interrupts"}


def test_missing_modules_are_named() -> None:
    host = replace(machine(function(D, driver=None)), vfio=Vfio({}, ("vfio",)))
    finding = _of(host, "vfio-module-missing")
    assert finding.message == "vfio_pci and vfio_iommu_type1 not loaded"
    assert [e.file for e in finding.evidence] == ["/sys/module/vfio_pci", "/sys/module/vfio_iommu_type1"]


def test_a_variant_driver_and_iommufd_are_vfio_too() -> None:
    vfio = Vfio({"mlx5_vfio_pci": {}, "iommufd": {}}, ("vfio",), iommufd=True)
    assert "vfio-module-missing" not in _codes(replace(machine(function(D, driver=None)), vfio=vfio))


@pytest.mark.parametrize(("iommufd", "severity"), [(False, Severity.ERROR), (True, Severity.WARNING)])
def test_a_missing_container_node(iommufd: bool, severity: Severity) -> None:  # noqa: FBT001
    host = machine(function(D), vfio=Vfio(MODULES, ("43",), iommufd=iommufd))
    assert _of(host, "vfio-node-missing").severity is severity


def test_an_empty_command_line_is_unknown() -> None:
    assert _of(machine(function(D), kernel=Kernel(release="6.1.0")), "host-unreadable").subject == "/proc/cmdline"


X86 = ("intel_iommu", "VT-d", "AMD-Vi", "DMAR", "iommu=pt", "vfio_iommu_type1", "interrupt")


@pytest.mark.parametrize("architecture", ["ppc64le", "s390x"])
@pytest.mark.parametrize("tables", [None, ()])
@pytest.mark.parametrize("host", [BARE, machine(function(D), iommu=Iommu(units=("pci0001:00",)))])
def test_no_advice_for_x86_on_other_machines(host: Machine, architecture: str, tables: tuple[str, ...] | None) -> None:
    vfio = Vfio({"vfio": {}, "vfio_pci": {}, "vfio_iommu_spapr_tce": {}}, ("vfio",))
    kernel = Kernel("6.12.0", "root=/dev/sda2 quiet", architecture=architecture)
    other = replace(host, iommu=replace(host.iommu, tables=tables), kernel=kernel, vfio=vfio)
    for checked in checks(other):
        texts = [checked.detail, *(text for found in checked.findings for text in (found.message, found.hint))]
        texts += [seen.content for found in checked.findings for seen in found.evidence]
        assert not any(word in text for word in X86 for text in texts), checked
    assert {check.name for check in checks(other)}.isdisjoint({"firmware", "interrupts"})


@pytest.mark.parametrize(
    ("architecture", "hint"),
    [
        ("x86_64", "turn on VT-d or AMD-Vi in the firmware's setup and reboot"),
        ("aarch64", "turn on the SMMU in the firmware's setup and reboot"),
        ("ppc64le", "look for iommu in dmesg: on POWER the kernel uses it"),
        ("s390x", "look for the PCI functions in dmesg"),
        ("riscv64", "turn the IOMMU on in the firmware's setup and reboot"),
        ("", "turn the IOMMU on in the firmware's setup and reboot"),
    ],
)
def test_what_to_do_about_a_missing_iommu_goes_by_architecture(architecture: str, hint: str) -> None:
    kernel = Kernel("6.12.0", "quiet", architecture=architecture)
    assert _of(replace(BARE, iommu=Iommu(tables=()), kernel=kernel), "no-iommu").hint.startswith(hint)


@pytest.mark.parametrize(
    ("hypervisor", "architecture", "element"),
    [
        ("QEMU", "x86_64", "<iommu model='intel'>"),
        ("QEMU", "aarch64", "<iommu model='smmuv3'>"),
        ("QEMU", "s390x", ""),
        ("VMware", "x86_64", ""),
    ],
)
@pytest.mark.parametrize("tables", [None, ()])
def test_a_node_that_is_a_vm_is_not_sent_to_the_setup_of_firmware(
    hypervisor: str, architecture: str, element: str, tables: tuple[str, ...] | None
) -> None:
    kernel = Kernel("6.12.0", "quiet", architecture=architecture, hypervisor=hypervisor)

    found = _of(replace(BARE, iommu=Iommu(tables=tables), kernel=kernel), "no-iommu")

    assert f"the node is itself a VM of {hypervisor}" in found.message
    assert found.hint.startswith("give this VM a virtual IOMMU")
    assert ("<iommu" in found.hint, element in found.hint) == (bool(element), True)
    assert hypervisor in {seen.content for seen in found.evidence}


@pytest.mark.parametrize(
    ("line", "tables", "hint"), [("iommu=off", (), "remove iommu=off"), ("quiet", ("DMAR",), "add intel_iommu=on")]
)
def test_what_the_vm_itself_can_do_comes_first(line: str, tables: tuple[str, ...], hint: str) -> None:
    kernel = Kernel("6.12.0", line, architecture="x86_64", hypervisor="QEMU")
    host = replace(BARE, iommu=Iommu(tables=tables), kernel=kernel)
    assert hint in " ".join(one.hint for one in check(host, []) if one.code in {"no-iommu", "iommu-disabled"})


@pytest.mark.parametrize(
    ("architecture", "option"), [("x86_64", "iommu=pt"), ("aarch64", "iommu.passthrough=1"), ("ppc64le", None)]
)
def test_the_option_for_the_hosts_own_dma_goes_by_architecture(architecture: str, option: str | None) -> None:
    host = machine(function(D), kernel=Kernel("6.12.0", "quiet", architecture=architecture))
    found = [finding for finding in check(host, []) if finding.code == "iommu-passthrough-off"]
    assert [finding.message for finding in found] == ([f"{option} is not set"] if option else [])
    assert all(option and option in finding.hint for finding in found)


def test_the_missing_backend_of_power_is_its_own() -> None:
    host = machine(function(D), kernel=replace(KERNEL, architecture="ppc64le"), vfio=Vfio({"vfio_pci": {}}, ("vfio",)))
    assert _of(host, "vfio-module-missing").message == "vfio_iommu_spapr_tce not loaded"


@pytest.mark.parametrize("value", ["Y", "1"])
def test_evidence_is_what_was_read(value: str) -> None:
    modules = {**MODULES, "vfio_iommu_type1": {"allow_unsafe_interrupts": value}}
    host = machine(function(D), vfio=Vfio(modules, ("vfio", "43")))
    assert [seen.content for seen in _of(host, "unsafe-interrupts").evidence] == [value]
