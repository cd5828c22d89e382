"""The machine: one immutable picture of the host's PCI functions, IOMMU groups and VFIO, however it was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from hostdev.inventory.bars import Bars

if TYPE_CHECKING:
    # No hook looks at it.
    from hostdev.inventory.health import Health


class Role(StrEnum):
    """The role of a function in passthrough."""

    ENDPOINT = "endpoint"
    PF = "pf"
    VF = "vf"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class NetDevice:
    """A network interface of a function; `uses` says why the host needs it (default route, bond slave, …)."""

    name: str
    up: bool = False
    mac: str = ""
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A disk of a function; `uses` names what lives on it (mount points, swap, holders)."""

    name: str
    uses: tuple[str, ...] = ()


class Use(StrEnum):
    """Whether the host uses a function. UNUSED is proved: what is not seen is UNKNOWN."""

    USED = "used"
    UNUSED = "unused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sign:
    """What tells that the host uses a function, or why that cannot be told: a file, and what stands there."""

    what: str
    file: str = ""
    content: str = ""
    look: str = ""
    """What to look at, where it cannot be told."""
    layer: str = ""
    """`net`, `block`, `console`, `vfs`, …: what kind of use it is."""


@dataclass(frozen=True, slots=True)
class HostUse:
    """All that the host is seen to do with a function or with what hangs below it, and all that could not be seen."""

    used: tuple[Sign, ...] = ()
    unknown: tuple[Sign, ...] = ()

    @property
    def value(self) -> Use:
        """One word for it."""
        if self.used:
            return Use.USED
        return Use.UNKNOWN if self.unknown else Use.UNUSED


NOT_LOOKED_AT = HostUse(
    unknown=(Sign("its use by the host was not looked at", look="what `passgate node doctor` says on the node"),)
)


@dataclass(frozen=True, slots=True)
class MdevType:
    """A kind of mediated device that a function can create."""

    name: str
    title: str
    available: int
    api: str = ""


@dataclass(frozen=True, slots=True)
class Mdev:
    """A mediated device that exists."""

    uuid: str
    type: str
    parent: PciAddress
    group: int | None


@dataclass(frozen=True, slots=True)
class PciFunction:
    """One PCI function as the kernel shows it; None means the kernel does not offer that attribute."""

    address: PciAddress
    vendor: int
    device: int
    class_code: int
    """24 bits: class, subclass, programming interface."""
    subsystem_vendor: int | None = None
    subsystem_device: int | None = None
    bridge: bool = False
    """Header type 1 or 2: it has a bus below it and can never be passed through."""
    driver: str | None = None
    driver_override: str | None = None
    group: int | None = None
    numa_node: int | None = None
    """None where the kernel says -1 or nothing."""
    parent: PciAddress | None = None
    root: str = ""
    """The host bridge it hangs below, such as pci0000:3a."""
    physfn: PciAddress | None = None
    virtfns: tuple[PciAddress, ...] = ()
    total_vfs: int | None = None
    num_vfs: int | None = None
    vf_autoprobe: bool | None = None
    reset_methods: tuple[str, ...] | None = None
    """Empty: the kernel cannot reset it; None: the kernel does not say (before 5.15)."""
    boot_vga: bool = False
    vfio_dev: str | None = None
    """The name below vfio-dev/: from 6.1 on this proves a vfio driver, whatever its name."""
    netdevs: tuple[NetDevice, ...] = ()
    blocks: tuple[BlockDevice, ...] = ()
    mdev_types: tuple[MdevType, ...] = ()
    mdevs: tuple[Mdev, ...] = ()
    vendor_vgpu_type: int | None = None
    """nvidia/current_vgpu_type of a VF that the vendor's driver keeps (0: none set)."""
    use: HostUse = NOT_LOOKED_AT
    bars: Bars | None = None
    """None where it was not looked at, or cannot be known. Without being asked for, it is read only where the class of
    a function says nothing without it."""
    removing: bool = False
    """Its removal from the driver has begun and waits for a process that has it open."""
    vf_offset: int | None = None
    vf_stride: int | None = None
    """From the routing id of a PF to that of its first VF, and from one VF to the next."""
    health: Health | None = None
    """None: it was not looked at."""

    @property
    def has_bars(self) -> bool | None:
        """Whether it has a BAR of its own."""
        return None if self.bars is None else bool(self.bars.own)

    @property
    def role(self) -> Role:
        """Bridge, VF, PF or plain endpoint."""
        if self.bridge:
            return Role.BRIDGE
        if self.physfn is not None:
            return Role.VF
        return Role.PF if self.total_vfs else Role.ENDPOINT


@dataclass(frozen=True, slots=True)
class ReservedRegion:
    """A range of I/O addresses the IOMMU keeps back; `direct` ones (RMRR) forbid passthrough."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class IommuGroup:
    """Devices that the IOMMU cannot tell apart: they go to one owner together."""

    number: int
    members: tuple[PciAddress, ...]
    others: tuple[str, ...] = ()
    """Members that are not PCI functions (platform devices, mdevs)."""
    type: str | None = None
    name: str | None = None
    """`vfio-noiommu` where there is no IOMMU behind it."""
    reserved: tuple[ReservedRegion, ...] = ()


@dataclass(frozen=True, slots=True)
class Iommu:
    """The IOMMU of a host, if it has one, and where that is said."""

    units: tuple[str, ...] = ()
    """/sys/class/iommu: dmar0, ivhd0, smmu3.…"""
    tables: tuple[str, ...] | None = None
    """DMAR, IVRS, IORT of the firmware; None where /sys/firmware is masked, as in a container."""
    groups_visible: bool = True
    """Whether /sys/kernel/iommu_groups could be listed at all."""
    address_bits: int | None = None
    """How wide its addresses are, by the narrowest of its units; None where no unit tells, as AMD's do not."""


@dataclass(frozen=True, slots=True)
class Vfio:
    """The kernel's VFIO as this process sees it."""

    modules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Loaded or built-in modules (vfio, vfio_pci, vfio_iommu_type1, …) with their parameters."""
    nodes: tuple[str, ...] | None = None
    """Names below /dev/vfio (`vfio`, `43`, `devices/vfio0`); None where there is no /dev/vfio to look at."""
    iommufd: bool = False
    """/dev/iommu is there."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The running kernel."""

    release: str = ""
    cmdline: str = ""
    boot_id: str = ""
    architecture: str = ""
    hypervisor: str = ""
    """Whose VM the machine is; empty where its firmware names no hypervisor."""

    @property
    def version(self) -> tuple[int, int]:
        """(6, 12) of `6.12.107+deb13-amd64`; (0, 0) where it is unknown."""
        parts = self.release.split(".", 2)
        try:
            return int(parts[0]), int("".join(c for c in parts[1] if c.isdigit()))
        except (IndexError, ValueError):
            return 0, 0


@dataclass(frozen=True, slots=True)
class Cpu:
    """The host's processor, as far as a guest with the same one depends on it."""

    vendor: str = ""
    """As CPUID has it: GenuineIntel, AuthenticAMD."""
    physical_bits: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """One picture of a host. `unread` tells what could not be looked at, and why."""

    functions: Mapping[PciAddress, PciFunction] = field(default_factory=dict)
    groups: Mapping[int, IommuGroup] = field(default_factory=dict)
    mdevs: Mapping[str, Mdev] = field(default_factory=dict)
    iommu: Iommu = field(default_factory=Iommu)
    vfio: Vfio = field(default_factory=Vfio)
    kernel: Kernel = field(default_factory=Kernel)
    cpu: Cpu = field(default_factory=Cpu)
    node_cpus: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """The CPUs of each NUMA node."""
    source: str = "/"
    """The root directory or file the picture was taken from."""
    unread: tuple[tuple[str, str], ...] = ()
    """Pairs of path and reason: what the rest of the picture had to do without."""

    def __post_init__(self) -> None:
        for name in ("functions", "groups", "mdevs"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def group_of(self, address: PciAddress) -> IommuGroup | None:
        """The IOMMU group of a function, None where it has none."""
        function = self.functions.get(address)
        return None if function is None or function.group is None else self.groups.get(function.group)
