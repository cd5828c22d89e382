"""What hangs on functions, looked up by class: one list for the whole host instead of a search below each function."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.hostuse import Mounts, read_mounts, read_routes
from hostdev.inventory.machine import BlockDevice, Mdev, MdevType, NetDevice
from hostdev.inventory.sysfs import Addresses, DeviceClass, number


class Attached:
    """Each class is listed when the first function asks for it."""

    def __init__(self, host: Host, addresses: Addresses) -> None:
        self._host = host
        self._addresses = addresses

    @cached_property
    def vfio(self) -> DeviceClass:
        """What vfio drivers hold (from 6.1 on)."""
        return DeviceClass(self._host, "vfio-dev")

    @cached_property
    def netdevs(self) -> Netdevs:
        """Network interfaces."""
        return Netdevs(self._host)

    @cached_property
    def blocks(self) -> Blocks:
        """Disks."""
        return Blocks(self._host)

    @cached_property
    def mdevs(self) -> Mdevs:
        """Mediated devices and their types."""
        return Mdevs(self._host, self._addresses)


CLASS = "net"

_IFF_UP = 1
_UPPER = "upper_"
_KIND = "DEVTYPE="


class Netdevs:
    """The interfaces that hang below each PCI function."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def of(self, address: PciAddress, path: str) -> tuple[NetDevice, ...]:
        """Those of the function at a path: in its net/ if it is a network card, else over virtio or USB."""
        own = self._host.names(f"{path}/net")
        return tuple(map(self._netdev, self._class.of(address) if own is None else own))

    @cached_property
    def _class(self) -> DeviceClass:
        return DeviceClass(self._host, CLASS)

    @cached_property
    def _routes(self) -> dict[str, str]:
        return read_routes(self._host)

    def _netdev(self, name: str) -> NetDevice:
        path = self._path(name)
        mac = self._host.read(f"{path}/address") or ""
        return NetDevice(name, self._is_up(path), mac, tuple(self._uses(name)))

    def _is_up(self, path: str) -> bool:
        state = self._host.read(f"{path}/operstate")
        if state != "unknown":
            return state == "up"
        # Drivers that do not report a state, as those of many VFs.
        try:
            return bool(int(self._host.read(f"{path}/flags") or "0", 16) & _IFF_UP)
        except ValueError:
            return False

    def _uses(self, name: str) -> Iterator[str]:
        uppers = self._uppers(name)
        if name in self._routes:
            yield self._routes[name]
        for upper in uppers:
            if upper in self._routes:
                yield f"{self._routes[upper]} through {upper}"
        for upper in uppers:
            yield " ".join(filter(None, ("part of", self._kind(upper), upper)))

    def _uppers(self, name: str) -> list[str]:
        """Bonds, bridges, VLANs, … on top of an interface, the nearest first."""
        found: list[str] = []
        below = [name]
        while below:
            path = self._path(below.pop(0))
            for link in self._host.names(path, prefix=_UPPER) or ():
                upper = link.removeprefix(_UPPER)
                if upper not in found and upper != name:
                    found.append(upper)
                    below.append(upper)
        return found

    def _kind(self, name: str) -> str:
        """Bond, bridge, vlan as the kernel calls it; team and Open vSwitch say nothing of themselves."""
        lines = (self._host.read(f"{self._path(name)}/uevent") or "").splitlines()
        return next((line.removeprefix(_KIND) for line in lines if line.startswith(_KIND)), "")

    def _path(self, name: str) -> str:
        return self._host.leads_to(f"sys/class/{CLASS}/{name}") or ""


DEVICES = "sys/bus/mdev/devices"
TYPES = "mdev_supported_types"


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
        """What one function could create."""
        parents = self._parents.of(address)
        return tuple(_types(self._host, f"{self._parents.path(parents[0])}/{TYPES}")) if parents else ()

    def devices(self, address: PciAddress) -> tuple[Mdev, ...]:
        """What there is of one function."""
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


_NVME_PATH = re.compile(r"(nvme[0-9]+)c[0-9]+(n[0-9]+)", re.ASCII)


class Blocks:
    """The disks that hang below each PCI function, and what lies on top of them: partitions, LVM, MD, dm-crypt."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._class = DeviceClass(host, "block")
        self._parts: dict[str, list[str]] = {}
        for name, link in self._class.links.items():
            self._parts.setdefault(link.rpartition("/")[0].rpartition("/")[2], []).append(name)

    def of(self, address: PciAddress) -> tuple[BlockDevice, ...]:
        """Those of one function."""
        names = self._class.of(address)
        parts = {part for name in names for part in self._parts.get(name, ())}
        return tuple(self._block(name) for name in names if name not in parts)

    @cached_property
    def _mounts(self) -> Mounts:
        return read_mounts(self._host)

    def _block(self, name: str) -> BlockDevice:
        disk = self._head(name)
        return BlockDevice(disk, tuple(dict.fromkeys(self._uses(disk, set()))))

    def _head(self, name: str) -> str:
        # With native multipath the namespace below a controller is a hidden path (nvme0c1n1);
        # what can be mounted is the head (nvme0n1), which hangs below no controller.
        match = _NVME_PATH.fullmatch(name)
        head = match[1] + match[2] if match else name
        return head if head in self._class.links else name

    def _uses(self, name: str, seen: set[str], through: str = "") -> Iterator[str]:
        """What the host does with a device, directly or through what lies on top of it."""
        seen.add(name)
        path = self._class.path(name)
        for use in self._mounts.of(name, self._host.read(f"{path}/dev"), f"mapper/{self._label(name)}"):
            yield use + through
        for part in self._parts.get(name, ()):
            if part not in seen:
                yield from self._uses(part, seen, through)
        for holder in self._host.names(f"{path}/holders") or ():
            if holder in self._class.links and holder not in seen:
                yield from self._held(holder, seen)

    def _held(self, holder: str, seen: set[str]) -> Iterator[str]:
        label = self._label(holder)
        yield from tuple(self._uses(holder, seen, f" through {label}")) or (f"held by {label}",)

    def _label(self, name: str) -> str:
        """What people know a device-mapper device by."""
        return self._host.read(f"{self._class.path(name)}/dm/name") or name
