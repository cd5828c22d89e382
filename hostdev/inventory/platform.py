"""The machine as a whole: IOMMU groups, VFIO, kernel, NUMA nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Cpu, Iommu, IommuGroup, Kernel, PciFunction, ReservedRegion, Vfio
from hostdev.inventory.sysfs import Addresses, hexadecimal, number


def read_group(host: Host, addresses: Addresses, group: int) -> IommuGroup | None:
    """One group, read in full; None if it is not there."""
    directory = f"{GROUPS}/{group}"
    names = host.names(f"{directory}/devices")
    if names is None:
        return None
    members = {name: addresses.of(name) for name in names}
    return IommuGroup(
        group,
        tuple(sorted(address for address in members.values() if address is not None)),
        tuple(name for name, address in members.items() if address is None),
        host.read(f"{directory}/type"),
        host.read(f"{directory}/name"),
        tuple(_regions(host, f"{directory}/reserved_regions")),
    )


def each_group(host: Host, addresses: Addresses, functions: Mapping[PciAddress, PciFunction]) -> dict[int, IommuGroup]:
    """All groups of the host; of the groups that VFs of one PF have to themselves, the first is read in full."""
    linked: dict[int | None, list[PciFunction]] = {}
    for function in functions.values():
        linked.setdefault(function.group, []).append(function)
    found: dict[int, IommuGroup] = {}
    first: dict[PciAddress, IommuGroup] = {}
    for group_number in sorted(int(name) for name in host.names(GROUPS) or () if name.isdecimal()):
        members = linked.get(group_number, [])
        pf = members[0].physfn if len(members) == 1 else None
        alike = first.get(pf) if pf else None
        if alike:
            lone = (members[0].address,)
            found[group_number] = IommuGroup(group_number, lone, (), alike.type, alike.name, alike.reserved)
            continue
        group = read_group(host, addresses, group_number)
        if group is not None:
            found[group_number] = group
            if pf is not None:
                first[pf] = group
    return found


def _regions(host: Host, file: str) -> Iterator[ReservedRegion]:
    for line in (host.read(file) or "").splitlines():
        try:
            start, end, kind = line.split()
            yield ReservedRegion(int(start, 16), int(end, 16), kind)
        except ValueError:
            host.tell(file, f"not a region: {line!r}")


GROUPS = "sys/kernel/iommu_groups"
UNITS = "sys/class/iommu"
NODES = "sys/devices/system/node"
VFIO = "dev/vfio"
CONTAINER = "vfio"
DEVICES = "devices"
MAX_CPU = 0xFFFF
FIRMWARE = "sys/firmware"
TABLES = ("DMAR", "IVRS", "IORT")
"""What firmware calls an IOMMU: Intel's, AMD's, Arm's."""

FIRMWARE_NAMES = "sys/class/dmi/id"
HYPERVISORS = (
    ("QEMU", "QEMU", ""),
    ("KubeVirt", "KubeVirt", ""),
    ("KVM", "Red Hat", ""),
    ("OpenStack", "OpenStack Foundation", ""),
    ("Amazon EC2", "Amazon EC2", r"^(?!.*\.metal)"),
    ("Google Compute Engine", "Google", "Google Compute Engine"),
    ("Hyper-V", "Microsoft Corporation", "Virtual Machine"),
    ("VMware", "VMware, Inc.", ""),
    ("VirtualBox", "innotek GmbH", ""),
    ("Xen", "Xen", ""),
    ("AHV", "Nutanix", "AHV"),
)
"""How a hypervisor is called, its maker as the firmware of a VM has it, and what the product must be called besides."""

MODULES = (
    "vfio",
    "vfio_pci",
    "vfio_pci_core",
    "vfio_iommu_type1",
    "vfio_iommu_spapr_tce",
    "vfio_virqfd",
    "iommufd",
    "mlx5_vfio_pci",
    "hisi_acc_vfio_pci",
    "pds_vfio_pci",
    "virtio_vfio_pci",
    "nvgrace_gpu_vfio_pci",
    "qat_vfio_pci",
    "xe_vfio_pci",
    "ism_vfio_pci",
    "mdev",
    "vfio_mdev",
    "kvmgt",
    "nvidia_vgpu_vfio",
    "pci_stub",
)
"""Modules that take part in passthrough, loaded or built in."""

_ARCHITECTURES = {
    "x86_64": ("x86_64", "amd64"),
    "aarch64": ("aarch64", "arm64"),
    "s390x": ("s390x",),
    "ppc64le": ("ppc64le", "powerpc64le", "ppc64el"),
}
"""How distributions spell it at the end of a kernel release."""
_VENDOR = re.compile(r"^vendor_id\s*:\s*(\w+)", re.ASCII | re.MULTILINE)
_ADDRESS_SIZES = re.compile(r"^address sizes\s*:\s*(\d+) bits physical", re.ASCII | re.MULTILINE)
_CPU_TYPES = {"x86": "x86_64", "aarch64": "aarch64", "s390": "s390x"}


def read_iommu(host: Host, *, width: bool = False) -> Iommu:
    """IOMMU units, and the firmware's tables where they may be seen; where it is asked for, their addresses' width."""
    # Container runtimes mask /sys/firmware with an empty directory.
    seen = bool(host.names(FIRMWARE))
    tables = tuple(table for table in TABLES if host.exists(f"{FIRMWARE}/acpi/tables/{table}")) if seen else None
    units = tuple(host.names(UNITS) or ())
    return Iommu(units, tables, host.exists(GROUPS), _address_bits(host, units) if width else None)


def _address_bits(host: Host, units: Iterable[str]) -> int | None:
    """VT-d tells in its capabilities how wide the guest's addresses can be: MGAW, less one, in bits 16 to 21."""
    found = (hexadecimal(host.read(f"{UNITS}/{unit}/intel-iommu/cap", quiet=True)) for unit in units)
    return min(((cap >> 16 & 0x3F) + 1 for cap in found if cap), default=None)


def read_cpu(host: Host) -> Cpu:
    """Vendor and width of addresses, by the first processor that /proc/cpuinfo tells of."""
    text = host.read("proc/cpuinfo", quiet=True) or ""
    vendor, bits = _VENDOR.search(text), _ADDRESS_SIZES.search(text)
    return Cpu(vendor[1] if vendor else "", number(bits[1]) if bits else None)


def read_vfio(host: Host, nodes: Iterable[str] | None = None) -> Vfio:
    """VFIO's modules with their parameters, and its device nodes: all, or those of these that are there."""
    found = {name: module_parameters(host, name) for name in MODULES}
    modules = {name: parameters for name, parameters in found.items() if parameters is not None}
    there = _all_nodes(host) if nodes is None else _some_nodes(host, nodes)
    return Vfio(modules, there, host.exists("dev/iommu"))


def module_parameters(host: Host, module: str) -> dict[str, str] | None:
    """The parameters of a module as they are now; None where it is not loaded."""
    if not host.exists(f"sys/module/{module}"):
        return None
    directory = f"sys/module/{module}/parameters"
    values = {name: host.read(f"{directory}/{name}") for name in host.names(directory) or ()}
    return {name: value for name, value in values.items() if value is not None}


def nodes_of(functions: Iterable[PciFunction], groups: Iterable[int]) -> Iterator[str]:
    """The names that VFIO would give to the nodes of these functions and groups, and of their mediated devices."""
    yield CONTAINER
    for group in groups:
        yield from (str(group), f"noiommu-{group}")
    for function in functions:
        if function.vfio_dev:
            yield f"{DEVICES}/{function.vfio_dev}"
        yield from (str(mdev.group) for mdev in function.mdevs)


def read_boot_id(host: Host) -> str:
    """Of the boot that the host is in; empty where it cannot be known."""
    return host.read("proc/sys/kernel/random/boot_id") or ""


def read_kernel(host: Host) -> Kernel:
    """Release, command line, boot and architecture."""
    release = host.read("proc/sys/kernel/osrelease") or ""
    return Kernel(
        release,
        (host.text("proc/cmdline") or "").strip(),
        read_boot_id(host),
        host.read("proc/sys/kernel/arch") or _by_release(release) or _by_cpu(host),
        _hypervisor(host),
    )


def _hypervisor(host: Host) -> str:
    """By the names that a VM's firmware has: those of a container's host may be masked, and then it is not known."""
    maker, product = (host.read(f"{FIRMWARE_NAMES}/{name}") or "" for name in ("sys_vendor", "product_name"))
    for name, its_maker, its_product in HYPERVISORS:
        if maker == its_maker and re.search(its_product, product):
            return name
    return ""


def read_node_cpus(host: Host) -> dict[int, frozenset[int]]:
    """The CPUs of each NUMA node."""
    nodes = ((number(name.removeprefix("node")), name) for name in host.names(NODES, prefix="node") or ())
    return {
        node: frozenset(_cpus(host.read(f"{NODES}/{name}/cpulist") or "")) for node, name in nodes if node is not None
    }


def _cpus(text: str) -> Iterator[int]:
    """Read `0-23,48-71`."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = number(first), number(last or first)
        if low is not None and high is not None:
            yield from range(low, min(high, MAX_CPU) + 1)


def _all_nodes(host: Host) -> tuple[str, ...] | None:
    nodes = host.names(VFIO)
    if nodes is None:
        return None
    devices = host.names(f"{VFIO}/{DEVICES}")
    if devices is None:
        return tuple(nodes)
    return (*(node for node in nodes if node != DEVICES), *(f"{DEVICES}/{name}" for name in devices))


def _some_nodes(host: Host, nodes: Iterable[str]) -> tuple[str, ...] | None:
    return tuple(node for node in nodes if host.exists(f"{VFIO}/{node}")) if host.exists(VFIO) else None


def _by_release(release: str) -> str:
    return next((name for name, spellings in _ARCHITECTURES.items() if release.endswith(spellings)), "")


def _by_cpu(host: Host) -> str:
    # "cpu:type:x86,ven0000fam0006mod008F:feature:…", on kernels before 6.1, which have no kernel/arch.
    kind = (host.text("sys/devices/system/cpu/modalias") or "").removeprefix("cpu:type:")
    return next((name for prefix, name in _CPU_TYPES.items() if kind.startswith(prefix)), "")
