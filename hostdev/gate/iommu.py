"""Rules about the IOMMU: firmware, kernel and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml.finding import Evidence, Finding, Severity
from domxml.text import printable
from hostdev.findings.group import NOIOMMU_GROUP
from hostdev.findings.platform import (
    ACS_OVERRIDE,
    IOMMU_DISABLED,
    IOMMU_PASSTHROUGH_OFF,
    NO_INTERRUPT_REMAPPING,
    NO_IOMMU,
    UNSAFE_INTERRUPTS,
)
from hostdev.gate import rule
from hostdev.gate.rule import GROUPS, HOST, Rule, group_evidence
from hostdev.inventory.machine import IommuGroup, Machine

_OFF_SWITCHES = ("iommu", "intel_iommu", "amd_iommu")


def off_switch(cmdline: str) -> str | None:
    """The option that turns the IOMMU off, if it does."""
    # Of intel_iommu=on and intel_iommu=off the last one counts.
    last = {name: (token, value) for token, name, value in _tokens(cmdline) if name in _OFF_SWITCHES}
    return next((token for token, value in last.values() if "off" in value.split(",")), None)


def remapping_switch(cmdline: str) -> str | None:
    """The option that turns interrupt remapping off, if it does."""
    for token, name, value in _tokens(cmdline):
        if name == "nointremap" or (name == "intremap" and "off" in value.split(",")):
            return token
    return None


def passes_host_dma(cmdline: str) -> bool:
    """The host's own DMA goes past the IOMMU (iommu=pt)."""
    return any(
        (name == "iommu" and "pt" in value.split(",")) or (name == "iommu.passthrough" and value == "1")
        for _, name, value in _tokens(cmdline)
    )


def overrides_acs(cmdline: str) -> str | None:
    """The option of patched kernels that splits IOMMU groups without isolation."""
    return next((token for token, name, _ in _tokens(cmdline) if name == "pcie_acs_override"), None)


def _tokens(cmdline: str) -> Iterator[tuple[str, str, str]]:
    for token in cmdline.split():
        name, _, value = token.partition("=")
        yield token, name, value


TABLES = "/sys/firmware/acpi/tables"
UNITS = "/sys/class/iommu"
NAMES = "/sys/class/dmi/id"
COMMAND_LINE = "/proc/cmdline"
NOIOMMU = "vfio-noiommu"
UNSAFE = "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"

_TURN_ON = {
    "DMAR": "add intel_iommu=on to the kernel command line and reboot",
    "IVRS": "look for AMD-Vi in dmesg, update the firmware",
    "IORT": "look for smmu in dmesg: the kernel needs its driver",
}
_BY_ARCHITECTURE = {
    "x86_64": "turn on VT-d or AMD-Vi in the firmware's setup and reboot",
    "aarch64": "turn on the SMMU in the firmware's setup and reboot",
    "ppc64le": "look for iommu in dmesg: on POWER the kernel uses it without being told, where the machine has one",
    "s390x": "look for the PCI functions in dmesg: on s390x each has its IOMMU without being told",
}
_OF_LIBVIRT = frozenset({"KVM", "OpenStack", "QEMU"})
_VIRTUAL = {"x86_64": "<iommu model='intel'>", "aarch64": "<iommu model='smmuv3'>"}
_PASSTHROUGH = {"x86_64": "iommu=pt", "aarch64": "iommu.passthrough=1"}
"""The option that lets the host's own DMA go past the IOMMU."""
_WITHOUT_ACPI = frozenset({"ppc64", "ppc64le", "s390x"})
"""There the firmware has no tables to tell, and interrupts are guarded by other means."""


def has_no_iommu(machine: Machine) -> bool:
    """The kernel was looked at, and shows no sign of an IOMMU."""
    real = any(not is_noiommu(group) for group in machine.groups.values())
    linked = any(f.group is not None and f.group not in machine.groups for f in machine.functions.values())
    return machine.iommu.groups_visible and not (real or linked or machine.iommu.units)


def missing_iommu(machine: Machine) -> Iterator[Finding]:
    """The host has no IOMMU, told with what the firmware and the command line say."""
    if not has_no_iommu(machine):
        return
    tables = None if _has_no_tables(machine) else machine.iommu.tables
    yield NO_IOMMU.found(
        HOST,
        f"the kernel has no IOMMU groups{_firmware_says(tables)}{_is_a_vm(machine)}",
        hint=_turn_on(machine, tables),
        evidence=(
            Evidence(GROUPS, f"only {NOIOMMU}" if machine.groups else "(empty)"),
            Evidence(UNITS, "(empty)"),
            *_table_evidence(tables),
            *_vm_evidence(machine),
        ),
    )


def _is_a_vm(machine: Machine) -> str:
    return f"; the node is itself a VM of {machine.kernel.hypervisor}" if machine.kernel.hypervisor else ""


def _vm_evidence(machine: Machine) -> tuple[Evidence, ...]:
    return (Evidence(NAMES, machine.kernel.hypervisor),) if machine.kernel.hypervisor else ()


def _turn_on(machine: Machine, tables: tuple[str, ...] | None) -> str | None:
    off = off_switch(machine.kernel.cmdline)
    if off:
        return f"remove {printable(off)} from the kernel command line and reboot"
    by_table = next((_TURN_ON[name] for name in tables or () if name in _TURN_ON), None)
    if not by_table and machine.kernel.hypervisor:
        return _give_the_vm_one(machine)
    if by_table or (tables is None and not _has_no_tables(machine)):
        return by_table
    return _BY_ARCHITECTURE.get(machine.kernel.architecture, "turn the IOMMU on in the firmware's setup and reboot")


def _give_the_vm_one(machine: Machine) -> str:
    element = _VIRTUAL.get(machine.kernel.architecture) if machine.kernel.hypervisor in _OF_LIBVIRT else None
    how = f" (libvirt: {element})" if element else ""
    return f"give this VM a virtual IOMMU where it is defined{how}; nothing inside it can turn one on"


def _has_no_tables(machine: Machine) -> bool:
    return machine.kernel.architecture in _WITHOUT_ACPI


def is_noiommu(group: IommuGroup) -> bool:
    return group.name == NOIOMMU


def _firmware_says(tables: tuple[str, ...] | None) -> str:
    if tables is None:
        return ""
    return f", though the firmware has {', '.join(tables)}" if tables else ", and the firmware has no table of one"


def _table_evidence(tables: tuple[str, ...] | None) -> tuple[Evidence, ...]:
    return () if tables is None else (Evidence(TABLES, " ".join(tables) or "no DMAR, IVRS, IORT"),)


def _find_tables(machine: Machine) -> Iterator[Finding]:
    if _has_no_tables(machine):
        return
    if machine.iommu.tables is None:
        yield rule.not_visible(TABLES, TABLES, "masked, as in a container")
    elif not machine.iommu.tables:
        yield from missing_iommu(machine)


def _tables(machine: Machine) -> str | None:
    if _has_no_tables(machine):
        return None
    tables = machine.iommu.tables
    return f"the firmware has {', '.join(tables)}" if tables else "no DMAR, IVRS or IORT, but the kernel has an IOMMU"


def _find_options(machine: Machine) -> Iterator[Finding]:
    line = machine.kernel.cmdline
    if not line:
        yield rule.not_visible(COMMAND_LINE, COMMAND_LINE, "empty or unknown")
        return
    evidence = (Evidence(COMMAND_LINE, line),)
    off = off_switch(line)
    if off and has_no_iommu(machine):
        yield IOMMU_DISABLED.found(HOST, f"the kernel was booted with {off}", evidence=evidence)
    override = overrides_acs(line)
    if override:
        yield ACS_OVERRIDE.found(HOST, f"the kernel was booted with {override}", evidence=evidence)
    if _lacks_option(machine):
        yield from missing_iommu(machine)
    option = _PASSTHROUGH.get(machine.kernel.architecture)
    if option and not (off or has_no_iommu(machine) or _host_dma_passes(machine)):
        hint = f"add {option} only if the host's own devices are too slow"
        yield IOMMU_PASSTHROUGH_OFF.found(HOST, f"{option} is not set", hint=hint, evidence=evidence)


def _lacks_option(machine: Machine) -> bool:
    """The firmware has an IOMMU that kernels may leave off until they are told."""
    return "DMAR" in (machine.iommu.tables or ()) and not off_switch(machine.kernel.cmdline)


def _host_dma_passes(machine: Machine) -> bool:
    identity = any(group.type == "identity" for group in machine.groups.values())
    return identity or passes_host_dma(machine.kernel.cmdline)


def _options(machine: Machine) -> str | None:
    if has_no_iommu(machine):
        return None
    off = off_switch(machine.kernel.cmdline)
    # intel_iommu=off on an AMD machine, for instance.
    return f"{off} did not turn this IOMMU off" if off else "nothing in it turns the IOMMU off"


def _find_units(machine: Machine) -> Iterable[Finding]:
    if not (machine.iommu.units or machine.iommu.groups_visible):
        return (rule.not_visible(UNITS, UNITS, "nothing is there, nor are IOMMU groups"),)
    return rule.below(machine, UNITS) or missing_iommu(machine)


def _units(machine: Machine) -> str:
    return ", ".join(machine.iommu.units) or f"{UNITS} is empty, but there are IOMMU groups"


def _find_groups(machine: Machine) -> Iterator[Finding]:
    if not machine.iommu.groups_visible:
        yield rule.not_visible(GROUPS, GROUPS, "it could not be listed", severity=Severity.WARNING)
    yield from missing_iommu(machine)
    bare = [number for number, group in sorted(machine.groups.items()) if is_noiommu(group)]
    if bare:
        yield NOIOMMU_GROUP.found(
            HOST,
            f"{len(bare)} of {len(machine.groups)} groups have no IOMMU behind them",
            severity=Severity.WARNING,
            evidence=tuple(group_evidence(number, "name", NOIOMMU) for number in bare[:3]),
        )


def _groups(machine: Machine) -> str:
    return f"{len(machine.groups)} IOMMU groups"


def _find_interrupts(machine: Machine) -> Iterator[Finding]:
    if _has_no_tables(machine):
        return
    unsafe = _allows_unsafe(machine)
    off = remapping_switch(machine.kernel.cmdline)
    if unsafe:
        yield UNSAFE_INTERRUPTS.found(
            HOST, "allow_unsafe_interrupts is on", evidence=(Evidence(UNSAFE, _unsafe_interrupts(machine) or ""),)
        )
    elif off:
        yield NO_INTERRUPT_REMAPPING.found(
            HOST, f"the kernel was booted with {off}", evidence=(Evidence(COMMAND_LINE, machine.kernel.cmdline),)
        )
    if unsafe is None:
        why = "vfio_iommu_type1 is not loaded or not visible"
        yield rule.not_visible(UNSAFE, UNSAFE, why, hint="look again when vfio_iommu_type1 is loaded")


def _unsafe_interrupts(machine: Machine) -> str | None:
    return machine.vfio.modules.get("vfio_iommu_type1", {}).get("allow_unsafe_interrupts")


def _allows_unsafe(machine: Machine) -> bool | None:
    value = _unsafe_interrupts(machine)
    return None if value is None else value in {"Y", "1"}


def _interrupts(machine: Machine) -> str | None:
    if _has_no_tables(machine):
        return None
    return "nothing turns interrupt remapping off, and unsafe interrupts are not allowed"


RULES: tuple[Rule[Machine], ...] = (
    Rule("firmware", "The firmware has an IOMMU", _find_tables, _tables),
    Rule("command-line", "The kernel command line leaves it on", _find_options, _options),
    Rule("iommu-units", "The kernel drives it", _find_units, _units),
    Rule("iommu-groups", "Devices are in IOMMU groups", _find_groups, _groups),
    Rule("interrupts", "Interrupts are remapped", _find_interrupts, _interrupts),
)
