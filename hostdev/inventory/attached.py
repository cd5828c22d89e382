"""What hangs on functions, looked up by class: one list for the whole host instead of a search below each function."""

from __future__ import annotations

from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.inventory.accelerators import Accelerators
from hostdev.inventory.blocks import Blocks
from hostdev.inventory.consoles import Consoles
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Mdev, MdevType
from hostdev.inventory.mounts import Mounts
from hostdev.inventory.netdevs import Netdevs
from hostdev.inventory.opennodes import OpenNodes
from hostdev.inventory.sysfs import Addresses, DeviceClass, number
from hostdev.inventory.usbdevices import UsbDevices

DEVICES = "sys/bus/mdev/devices"
TYPES = "mdev_supported_types"
NODES = "sys/dev/char"


class Mdevs:
    """Types and devices by parent function."""

    def __init__(self, host: Host, addresses: Addresses) -> None:
        self._host = host
        self._parents = DeviceClass(host, "mdev_bus")
        self._devices: dict[PciAddress, list[Mdev]] = {}
        # Parents that are no PCI functions (s390 channels, crypto adapters) are not ours to give away.
        for uuid in host.names(DEVICES) or () if self._parents.owned else ():
            mdev = _mdev(host, addresses, uuid)
            if mdev is not None:
                self._devices.setdefault(mdev.parent, []).append(mdev)

    def types(self, address: PciAddress) -> tuple[MdevType, ...]:
        """The types that one function could create."""
        parents = self._parents.of(address)
        return tuple(_types(self._host, f"{self._parents.path(parents[0])}/{TYPES}")) if parents else ()

    def devices(self, address: PciAddress) -> tuple[Mdev, ...]:
        """The devices that one function has created."""
        return tuple(self._devices.get(address, ()))


def _types(host: Host, directory: str) -> list[MdevType]:
    return [
        MdevType(
            name,
            host.read(f"{directory}/{name}/name") or "",
            number(host.read(f"{directory}/{name}/available_instances")) or 0,
            host.read(f"{directory}/{name}/device_api") or "",
        )
        for name in host.names(directory) or ()
    ]


def _mdev(host: Host, addresses: Addresses, uuid: str) -> Mdev | None:
    path = host.leads_to(f"{DEVICES}/{uuid}")
    parent = addresses.last_in(path) if path else None
    if path is None or parent is None:
        return None
    group = number(host.link_name(f"{path}/iommu_group"))
    return Mdev(uuid, host.link_name(f"{path}/mdev_type") or "", parent, group)


class Attached:
    """Each class is listed when the first function asks for it."""

    def __init__(self, host: Host, addresses: Addresses) -> None:
        self.host = host
        self._addresses = addresses

    @cached_property
    def vfio(self) -> DeviceClass:
        """The character devices of vfio drivers (from 6.1 on)."""
        return DeviceClass(self.host, "vfio-dev")

    @cached_property
    def mounts(self) -> Mounts:
        """What is mounted, and swap."""
        return Mounts(self.host)

    @cached_property
    def netdevs(self) -> Netdevs:
        """Network interfaces."""
        return Netdevs(self.host, self.mounts)

    @cached_property
    def blocks(self) -> Blocks:
        """Disks."""
        return Blocks(self.host, self.mounts, self.opened)

    @cached_property
    def mdevs(self) -> Mdevs:
        """Mediated devices and their types."""
        return Mdevs(self.host, self._addresses)

    @cached_property
    def nodes(self) -> DeviceClass:
        """Character devices below PCI functions, by their number: of graphics, sound, RDMA, NVMe and the like."""
        return DeviceClass(self.host, "char", directory=NODES, holding="/pci")

    @cached_property
    def opened(self) -> OpenNodes:
        """Nodes that processes have open."""
        return OpenNodes(self.host)

    @cached_property
    def infiniband(self) -> DeviceClass:
        """RDMA devices."""
        return DeviceClass(self.host, "infiniband")

    @cached_property
    def consoles(self) -> Consoles:
        """Displays and terminals that the kernel writes to."""
        return Consoles(self.host)

    @cached_property
    def accelerators(self) -> Accelerators:
        """GPUs, QuickAssist, DSA."""
        return Accelerators(self.host)

    @cached_property
    def usb(self) -> UsbDevices:
        """What is plugged in."""
        return UsbDevices(self.host)
