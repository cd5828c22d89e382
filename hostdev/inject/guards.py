"""What KubeVirt does not know about a VM whose devices a hook adds, and what comes of it."""

from __future__ import annotations

from domxml.finding import Finding
from hostdev.findings.spec import LOOKS_MIGRATABLE
from hostdev.vmi.vmi import Vmi


def guards(vmi: Vmi, devices: int) -> tuple[Finding, ...]:
    """Everything that is to be said of a VM that gets so many VFIO devices."""
    return (*memlock(vmi, devices), *migratable(vmi)) if devices else ()


def memlock(vmi: Vmi, devices: int, *, viommu: bool = False) -> tuple[Finding, ...]:
    """Whether KubeVirt raises the limit of locked memory for a VM with so many VFIO devices."""
    from hostdev.gate import vm  # noqa: PLC0415  the gate is not needed to read a VMI

    need = vm.required_memlock(vmi.memory, devices, viommu=viommu)
    return vm.check_memlock(str(vmi), need, raised=vmi.has_vfio or vmi.locks_memory)


def migratable(vmi: Vmi) -> tuple[Finding, ...]:
    """Whether KubeVirt would try to migrate a VM with devices that it does not see."""
    # A GPU or host device of the spec keeps KubeVirt from it; SR-IOV interfaces it unplugs first.
    if vmi.devices or vmi.eviction_strategy == "None":
        return ()
    told = f"evictionStrategy is {vmi.eviction_strategy}" if vmi.eviction_strategy else "evictionStrategy is not set"
    return (LOOKS_MIGRATABLE.found(vmi.at("spec.evictionStrategy"), f"{told}, and KubeVirt does not see the devices"),)
