"""From a VM and what was gathered for it to the inputs of its plan, and what KubeVirt will not know of its devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from domxml.finding import Finding
from hostdev.allocation.allocation import Gathered
from hostdev.findings.spec import LOOKS_MIGRATABLE
from hostdev.inject.accounting import unaccounted_resources
from hostdev.inject.plan import Inputs
from hostdev.vmi.annotations import check_names, policy, requests
from hostdev.vmi.request import Request
from hostdev.vmi.vmi import Vmi


def guards(vmi: Vmi, devices: int) -> tuple[Finding, ...]:
    """Check a VM that gets so many VFIO devices."""
    return (*memlock(vmi, devices), *migratable(vmi)) if devices else ()


def memlock(vmi: Vmi, devices: int, *, viommu: bool = False) -> tuple[Finding, ...]:
    """Check that KubeVirt raises the limit of locked memory for a VM with so many VFIO devices."""
    from hostdev.gate import check  # noqa: PLC0415  the gate is not needed to read a VMI

    need = check.required_memlock(vmi.memory, devices, viommu=viommu)
    return check.check_memlock(str(vmi), need, raised=vmi.has_vfio or vmi.locks_memory)


def migratable(vmi: Vmi) -> tuple[Finding, ...]:
    """Check that KubeVirt does not try to migrate a VM with devices that it does not see."""
    # A GPU or host device of the spec keeps KubeVirt from it; SR-IOV interfaces it unplugs first.
    if vmi.devices or vmi.eviction_strategy == "None":
        return ()
    told = f"evictionStrategy is {vmi.eviction_strategy}" if vmi.eviction_strategy else "evictionStrategy is not set"
    return (LOOKS_MIGRATABLE.found(vmi.at("spec.evictionStrategy"), f"{told}, and KubeVirt does not see the devices"),)


def resources(vmi: Vmi | None, extra: Sequence[Request] = ()) -> Mapping[str, int | None]:
    """The resources whose variables to look for, with counts where they are known."""
    asked: dict[str, int | None] = {request.resource: request.quantity for request in extra if request.resource}
    if vmi is not None:
        for request in requests(vmi) or ():
            if request.resource:
                asked[request.resource] = request.quantity
        asked.update(vmi.asked)
    return asked


def waits_for_file(vmi: Vmi) -> bool:
    """The VM wants devices that only an allocation file, or the environment, can name."""
    written = requests(vmi)
    return bool(vmi.limits) if written is None else any(request.resource for request in written)


def vm_inputs(vmi: Vmi | None, named: tuple[Request, ...], gathered: Gathered) -> Inputs:
    """Join what a VM asks for and was given; `named` comes from a command line."""
    if vmi is None:
        return Inputs(None, named, gathered.allocations, findings=gathered.findings)
    check_names(vmi)
    guests = {interface.name: interface.guest for interface in vmi.interfaces if interface.guest is not None}
    asked = _with_limits(requests(vmi), vmi.device_limits)
    rules = policy(vmi)
    return Inputs(
        asked, named, gathered.allocations, guests, vmi, gathered.findings, rules.allowed, refused=rules.refuse
    )


def account_inputs(inputs: Inputs, gathered: Gathered) -> Inputs:
    """The same, with what the VM's limits ask for and no channel names; for VMs whose devices we answer for."""
    vmi = inputs.vmi
    if vmi is None or not vmi.device_limits:
        return inputs
    ignored = policy(vmi).ignore
    limits = {name: count for name, count in vmi.device_limits.items() if name not in ignored}
    beside = Counter(device.resource for device in vmi.devices if device.resource)
    missing = tuple(unaccounted_resources(limits, beside, inputs.all_requests, gathered))
    return inputs._replace(findings=(*inputs.findings, *missing), limits=bool(limits), lacks=bool(missing))


def _with_limits(asked: tuple[Request, ...] | None, limits: Mapping[str, int]) -> tuple[Request, ...] | None:
    """An entry without a count means the limit, where it is the only one of its resource."""
    if asked is None:
        return None
    entries = Counter(request.resource for request in asked)
    return tuple(
        request._replace(least=limits[request.resource])
        if request.resource in limits and entries[request.resource] == 1
        else request
        for request in asked
    )
