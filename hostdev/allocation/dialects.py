"""How device plugins name the devices of a container in its environment: a row a plugin."""

from __future__ import annotations

from typing import NamedTuple

from hostdev.allocation.naming import STEMS


class Dialect(NamedTuple):
    """One plugin's way of telling. Several plugins share a way; what is said of each then holds for all."""

    plugin: str
    variables: tuple[str, ...]
    """As documentation writes them."""
    example: str
    starts: tuple[str, ...]
    """What the names of its variables start with."""
    numbered: bool = False
    """Nothing but a number follows: one variable a device, none of which tells the resource."""
    family: str = ""
    """Numbered variables may belong to any resource of this vendor domain."""
    label: str = ""
    """What to name devices after whose variables tell nothing."""
    more: str = ""
    """Why it names more devices than were requested."""
    fewer: str = ""
    """Why it names fewer."""


DIALECTS: tuple[Dialect, ...] = (
    Dialect(
        "SR-IOV network device plugin",
        ("PCIDEVICE_<RESOURCE>", "PCIDEVICE_<RESOURCE>_INFO"),
        "PCIDEVICE_INTEL_COM_SRIOV=0000:03:02.1,0000:03:04.3",
        ("PCIDEVICE_",),
        fewer="the SR-IOV plugin leaves out devices that it does not know any more",
    ),
    Dialect(
        "KubeVirt",
        ("PCI_RESOURCE_<RESOURCE>", "MDEV_PCI_RESOURCE_<RESOURCE>", "USB_RESOURCE_<RESOURCE>"),
        "PCI_RESOURCE_DEVICES_KUBEVIRT_IO_NVME=0000:5e:00.0",
        ("PCI_RESOURCE_", "MDEV_PCI_RESOURCE_", "USB_RESOURCE_"),
    ),
    Dialect(
        "NVIDIA KubeVirt GPU device plugin",
        ("PCI_RESOURCE_NVIDIA_COM_<NAME>", "MDEV_PCI_RESOURCE_NVIDIA_COM_<NAME>"),
        "PCI_RESOURCE_NVIDIA_COM_TU104GL_TESLA_T4=0000:da:00.0",
        ("PCI_RESOURCE_NVIDIA_COM_", "MDEV_PCI_RESOURCE_NVIDIA_COM_"),
        more="before 1.6 NVIDIA's plugin names all its functions of the IOMMU group",
    ),
    Dialect(
        "Harvester PCI devices",
        ("PCI_RESOURCE_<RESOURCE>", "MDEV_PCI_RESOURCE_<RESOURCE>", "USB_RESOURCE_<RESOURCE>"),
        "PCI_RESOURCE_NVIDIA_COM_GP106_GEFORCE_GTX_1060_3GB=0000:04:00.0,0000:04:00.0",
        ("PCI_RESOURCE_", "MDEV_PCI_RESOURCE_", "USB_RESOURCE_"),
        more="Harvester adds the resource's other devices of the IOMMU group",
    ),
    Dialect(
        "AMD GPU device plugin",
        ("PCI_RESOURCE_AMD_COM_GPU", "PCI_RESOURCE_AMD_COM_GPU_VF", "PCI_RESOURCE_AMD_COM_GPU_PF"),
        "PCI_RESOURCE_AMD_COM_GPU_VF=0000:c1:02.0",
        ("PCI_RESOURCE_AMD_COM_GPU",),
        more="AMD's plugin names all functions of the IOMMU group",
        fewer="of several GPUs AMD's plugin names the last group only",
    ),
    Dialect(
        "Intel QAT device plugin",
        ("QAT<N>",),
        "QAT0=0000:3d:02.2",
        ("QAT",),
        numbered=True,
        family="qat.intel.com",
        label="qat",
        fewer="two qat.intel.com resources in one container both start at QAT0, and kubelet keeps one",
    ),
    Dialect(
        "Intel DSA device plugin, on vfio-pci",
        ("VFIO_BDF<N>",),
        "VFIO_BDF0=0000:6a:01.0",
        ("VFIO_BDF",),
        numbered=True,
        family="dsa.intel.com",
        label="dsa",
        fewer="two dsa.intel.com resources in one container both start at VFIO_BDF0, and kubelet keeps one",
    ),
    Dialect(
        "SR-IOV DRA driver",
        ("SRIOVNETWORK_VF_DEVICE_<DEVICE>", "SRIOVNETWORK_PCI_ADDRESSES"),
        "SRIOVNETWORK_VF_DEVICE_0000_3b_02_1=0000:3b:02.1",
        ("SRIOVNETWORK_VF_DEVICE_", "SRIOVNETWORK_PCI_ADDRESSES"),
        # Its variables are named after host addresses, which must not get into a domain.
        label="sriovnetwork",
    ),
)

_DIGITS = 5


def speaking(variable: str) -> tuple[Dialect, ...]:
    """The rows that a variable's name fits."""
    if variable in STEMS:
        return ()
    return tuple(row for row in DIALECTS if variable.startswith(row.starts) and _fits(row, variable))


def number_of(variable: str, row: Dialect) -> int:
    """The number of QAT7; 0 where nothing is numbered."""
    return int(variable.removeprefix(row.starts[0])) if row.numbered else 0


def _fits(row: Dialect, variable: str) -> bool:
    if not row.numbered:
        return True
    number = variable.removeprefix(row.starts[0])
    return number.isascii() and number.isdecimal() and len(number) <= _DIGITS
