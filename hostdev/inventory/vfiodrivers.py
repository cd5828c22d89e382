"""What is known of drivers that hold a device for a guest, and of those that do not mind when a guest has its group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hostdev.inventory.machine import PciFunction

GENERIC = "vfio-pci"


@dataclass(frozen=True, slots=True)
class VfioDriver:
    """A driver that offers its devices through VFIO; `migrates` if it can save a device's state."""

    name: str
    devices: str
    migrates: bool = False


def _by_spelling(*drivers: VfioDriver) -> Mapping[str, VfioDriver]:
    return MappingProxyType({_spelling(driver.name): driver for driver in drivers})


def _spelling(name: str) -> str:
    # The kernel's names mix dashes and underscores, and the module's name differs from the driver's.
    return name.replace("-", "_")


VFIO_DRIVERS = _by_spelling(
    VfioDriver(GENERIC, "any device"),
    VfioDriver("mlx5_vfio_pci", "VFs of NVIDIA ConnectX", migrates=True),
    VfioDriver("hisi_acc_vfio_pci", "VFs of HiSilicon accelerators", migrates=True),
    VfioDriver("pds_vfio_pci", "VFs of AMD Pensando", migrates=True),
    VfioDriver("virtio_vfio_pci", "VFs of virtio network cards", migrates=True),
    VfioDriver("nvgrace_gpu_vfio_pci", "NVIDIA Grace Hopper and Grace Blackwell GPUs"),
    # Those of 4xxx since Linux 6.10; of 420xx and of generation 5 on since 7.1.
    VfioDriver("qat_vfio_pci", "VFs of Intel QAT from generation 4 on", migrates=True),
    VfioDriver("xe-vfio-pci", "VFs of Intel GPUs", migrates=True),
    VfioDriver("ism_vfio_pci", "IBM's Internal Shared Memory devices on s390x"),
)

HARMLESS_DRIVERS: Mapping[str, str] = MappingProxyType(
    {
        "pci-stub": "is on pci-stub, which only holds it",
        "pcieport": "is a port on pcieport, which shares the group",
    }
)
"""Drivers that do not claim a group for the kernel, by what they do."""

DENYLIST: Mapping[tuple[int, int], str] = MappingProxyType(
    {
        (0x8086, 0x0435): "QAT DH895xCC",
        (0x8086, 0x0443): "QAT DH895xCC VF",
        (0x8086, 0x19E2): "QAT C3xxx",
        (0x8086, 0x19E3): "QAT C3xxx VF",
        (0x8086, 0x37C8): "QAT C62x",
        (0x8086, 0x37C9): "QAT C62x VF",
        (0x8086, 0x0B25): "DSA of Sapphire Rapids",
        (0x8086, 0x0CFE): "IAA of Sapphire Rapids",
    }
)
"""Vendor and device numbers that vfio-pci refuses unless it is loaded with disable_denylist=1."""


def vfio_driver(name: str | None) -> VfioDriver | None:
    """The vfio driver of this name, in either spelling."""
    return None if name is None else VFIO_DRIVERS.get(_spelling(name))


def is_on_vfio(function: PciFunction) -> bool:
    """A vfio driver holds the function: sysfs says so from Linux 6.1 on, before that only the name does."""
    return function.vfio_dev is not None or vfio_driver(function.driver) is not None


def libvirt_takes(function: PciFunction) -> bool:
    """As far as libvirt sees, a vfio driver holds the function: it knows one name, and the vfio-dev directory."""
    return function.vfio_dev is not None or function.driver == GENERIC
