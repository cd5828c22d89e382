"""How much memory VFIO locks for a VM, and whether anybody raises the limit to it."""

from __future__ import annotations

from domxml.finding import Evidence, Finding, Severity
from hostdev.catalogue.vm import MEMLOCK_NOT_RAISED

GIB = 1 << 30


def required(guest_bytes: int, devices: int, *, viommu: bool = False) -> int:
    """The limit of locked memory that libvirt wants for a VM with so many VFIO devices."""
    if devices == 0:
        return 0
    # Each device has an address space of its own behind a virtual IOMMU, and maps the whole guest again.
    return guest_bytes * (devices if viommu else 1) + GIB


def check(vm: str, need: int, *, raised: bool, limit: int | None = None) -> tuple[Finding, ...]:
    """Whether a VM gets to lock so much: `raised` by its spec, or within a limit that is known."""
    if need == 0 or raised or (limit is not None and limit >= need):
        return ()
    known = limit is not None
    finding = MEMLOCK_NOT_RAISED.found(
        vm,
        f"VFIO locks {_mib(need)} MiB, the limit is {_mib(limit or 0)} MiB"
        if known
        else f"VFIO locks {_mib(need)} MiB, and nothing in the spec makes KubeVirt raise the limit",
        severity=Severity.ERROR if known else None,
        evidence=(Evidence("/proc/self/limits", f"Max locked memory {limit}"),) if known else (),
    )
    return (finding,)


def _mib(count: int) -> int:
    return count >> 20
