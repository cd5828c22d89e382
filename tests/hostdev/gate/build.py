"""Machines in a few words: a host where everything is right, and what a test changes about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import HostUse, Iommu, IommuGroup, Kernel, Machine, PciFunction, Sign, Vfio
from hostdev.inventory.vfiodrivers import is_on_vfio

GPU = 0x030000
AUDIO = 0x040300
USB = 0x0C0330
NIC = 0x020000
NVME = 0x010802
BRIDGE = 0x060400

IOMMU = Iommu(units=("dmar0", "dmar1"), tables=("DMAR",))
NO_IOMMU = Iommu(units=(), tables=("DMAR",))
KERNEL = Kernel(release="6.12.107-amd64", cmdline="BOOT_IMAGE=/vmlinuz intel_iommu=on iommu=pt", architecture="x86_64")
MODULES: Mapping[str, Mapping[str, str]] = {
    "vfio": {"enable_unsafe_noiommu_mode": "N"},
    "vfio_pci": {"disable_denylist": "N"},
    "vfio_iommu_type1": {"allow_unsafe_interrupts": "N"},
}
_RIGHT: dict[str, Any] = {
    "vendor": 0x8086,
    "device": 0x1572,
    "class_code": NIC,
    "driver": "vfio-pci",
    "group": 43,
    "numa_node": 0,
    "reset_methods": ("flr", "bus"),
    "use": HostUse(),
}


def at(text: str) -> PciAddress:
    return PciAddress.parse(text)


def function(address: str, **changes: Any) -> PciFunction:
    """An endpoint on vfio-pci in group 43, but for the changes."""
    return PciFunction(at(address), **{**_RIGHT, **changes})


def in_use(*whats: str, layer: str = "block") -> HostUse:
    """The use of a function that the host has these uses for."""
    return HostUse(tuple(Sign(what, "/proc/1/mountinfo", "a line", layer=layer) for what in whats))


def unproved(*whats: str, look: str = "") -> HostUse:
    """The use of a function of which these things are not known."""
    return HostUse(unknown=tuple(Sign(what, "/run/udev/data/b8:0", look=look) for what in whats))


def vf(address: str, pf: str, **changes: Any) -> PciFunction:
    return function(address, physfn=at(pf), **changes)


def pf(address: str, **changes: Any) -> PciFunction:
    return function(address, **{"driver": "ice", "group": 30, "total_vfs": 8, "num_vfs": 0, **changes})


def bridge(address: str, **changes: Any) -> PciFunction:
    return function(address, **{"bridge": True, "class_code": BRIDGE, "driver": "pcieport", **changes})


def machine(*functions: PciFunction, **changes: Any) -> Machine:
    """A host with these functions in which all else is right, but for the changes."""
    groups: dict[int, IommuGroup] = {}
    for each in functions:
        if each.group is not None:
            known = groups.get(each.group, IommuGroup(each.group, ()))
            groups[each.group] = replace(known, members=(*known.members, each.address))
    right: dict[str, Any] = {
        "functions": {each.address: each for each in functions},
        "groups": groups,
        "iommu": IOMMU,
        "vfio": Vfio(modules=MODULES, nodes=nodes(*functions)),
        "kernel": KERNEL,
    }
    return Machine(**{**right, **changes})


def nodes(*functions: PciFunction) -> tuple[str, ...]:
    """What the kernel has below /dev/vfio with these functions."""
    bound = [each for each in functions if is_on_vfio(each)]
    groups = sorted({str(each.group) for each in bound if each.group is not None})
    return ("vfio", *groups, *(f"devices/{each.vfio_dev}" for each in bound if each.vfio_dev))


def with_group(host: Machine, number: int, **changes: Any) -> Machine:
    """The machine with one of its groups changed."""
    return replace(host, groups={**host.groups, number: replace(host.groups[number], **changes)})
