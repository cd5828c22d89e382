"""What hangs on functions, looked up by class: one list for the whole host instead of a search below each function."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.inventory.accelerators import Accelerators
from hostdev.inventory.backing import Backing
from hostdev.inventory.consoles import Consoles
from hostdev.inventory.filesystems import Filesystems
from hostdev.inventory.host import Host
from hostdev.inventory.hostuse import Mounts, read_routes, shortest
from hostdev.inventory.labels import DECIDED, Label, Labels
from hostdev.inventory.machine import BlockDevice, HostUse, Mdev, MdevType, NetDevice, Sign
from hostdev.inventory.netaddresses import PACKET, read_addresses, read_sniffed
from hostdev.inventory.opennodes import OpenNodes
from hostdev.inventory.sysfs import Addresses, DeviceClass, number
from hostdev.inventory.usbdevices import UsbDevices

NODES = "sys/dev/char"


class Attached:
    """Each class is listed when the first function asks for it."""

    def __init__(self, host: Host, addresses: Addresses) -> None:
        self.host = host
        self._addresses = addresses

    @cached_property
    def vfio(self) -> DeviceClass:
        """What vfio drivers hold (from 6.1 on)."""
        return DeviceClass(self.host, "vfio-dev")

    @cached_property
    def netdevs(self) -> Netdevs:
        """Network interfaces."""
        return Netdevs(self.host)

    @cached_property
    def blocks(self) -> Blocks:
        """Disks."""
        return Blocks(self.host, self.opened)

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


CLASS = "net"
LAYER = "net"

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

    def use_beneath(self, address: PciAddress, path: str) -> HostUse:
        """What the host does with the interfaces below a function, those of other functions below it too."""
        used: list[Sign] = []
        unknown: list[Sign] = []
        own = self._host.names(f"{path}/net")
        names = dict.fromkeys([*(own or ()), *self._class.beneath(address)])
        for name in names:
            uses = [*self._uses(name)]
            used += [replace(use, what=f"{name} ({use.what})", layer=LAYER) for use in uses]
            unknown += () if uses else self._doubts(name)
        if own is not None and not names:
            unknown.append(_elsewhere(f"{path}/net"))
        return HostUse(tuple(used), tuple(unknown))

    @cached_property
    def _class(self) -> DeviceClass:
        return DeviceClass(self._host, CLASS)

    @cached_property
    def _routes(self) -> dict[str, Sign]:
        return read_routes(self._host)

    @cached_property
    def _addresses(self) -> dict[str, Sign]:
        return read_addresses(self._host)

    @cached_property
    def _sniffed(self) -> frozenset[str]:
        return read_sniffed(self._host)

    def _netdev(self, name: str) -> NetDevice:
        path = self._path(name)
        mac = self._host.read(f"{path}/address") or ""
        return NetDevice(name, self._is_up(path), mac, tuple(use.what for use in self._uses(name)))

    def _is_up(self, path: str) -> bool:
        state = self._host.read(f"{path}/operstate")
        if state != "unknown":
            return state == "up"
        # Drivers that do not report a state, as those of many VFs.
        return bool(self._flags(path) or 0)

    def _flags(self, path: str) -> int | None:
        """1 where it was set up, 0 where not; None where that cannot be seen."""
        try:
            return int(self._host.read(f"{path}/flags") or "", 16) & _IFF_UP
        except ValueError:
            return None

    def _uses(self, name: str) -> Iterator[Sign]:
        uppers = self._uppers(name)
        for one in (name, *uppers):
            through = "" if one == name else f" through {one}"
            if one in self._routes:
                yield replace(self._routes[one], what=f"{self._routes[one].what}{through}")
        for upper in uppers:
            words = " ".join(filter(None, ("part of", self._kind(upper), upper)))
            yield Sign(words, f"/{self._path(name)}/{_UPPER}{upper}", upper)
        if name in self._addresses:
            yield self._addresses[name]
        index = self._host.read(f"{self._path(name)}/ifindex") if self._sniffed else None
        if index in self._sniffed:
            yield Sign("a process listens on it", f"/{PACKET}", f"interface {index}")

    def _doubts(self, name: str) -> Iterator[Sign]:
        """Why an interface with which nothing is seen to be done may be in use all the same."""
        path = self._path(name)
        flags = self._flags(path)
        if flags == 0:
            return
        look = f"`ip -d address show dev {name}` and `ip route show table all dev {name}`"
        what = f"{name} {'is' if flags else 'may be'} up, and not all that may use it is to be seen"
        yield Sign(what, f"/{path}/flags", self._host.read(f"{path}/flags") or "", look, LAYER)

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


def _elsewhere(directory: str) -> Sign:
    what = "its interface is in another network namespace, such as that of a container"
    return Sign(what, f"/{directory}", "(empty)", "`ip -all netns exec ip link`, and `lsns -t net`", LAYER)


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


LAYER = "block"
_NVME_PATH = re.compile(r"(nvme[0-9]+)c[0-9]+(n[0-9]+)", re.ASCII)


class Blocks:
    """The disks that hang below each PCI function, and what lies on top of them: partitions, LVM, MD, dm-crypt."""

    def __init__(self, host: Host, opened: OpenNodes) -> None:
        self._host = host
        self._opened = opened
        self._class = DeviceClass(host, "block")
        self._parts: dict[str, list[str]] = {}
        for name, link in self._class.links.items():
            self._parts.setdefault(link.rpartition("/")[0].rpartition("/")[2], []).append(name)
        self._mounts = Mounts(host)
        self._labels = Labels(host)
        self._known: dict[str, tuple[Sign, ...]] = {}

    def of(self, address: PciAddress) -> tuple[BlockDevice, ...]:
        """Those of one function."""
        disks = self._disks(self._class.of(address))
        return tuple(BlockDevice(disk, tuple(use.what for use in self.uses(disk))) for disk in disks)

    def use_beneath(self, address: PciAddress) -> HostUse:
        """What the host does with the disks below a function, those of other functions below it too."""
        used: list[Sign] = []
        unknown: list[Sign] = []
        for disk in self._disks(self._class.beneath(address)):
            uses = self.uses(disk) or tuple(self._open(disk))
            used += [replace(use, what=f"{disk} ({use.what})", layer=LAYER) for use in uses]
            unknown += () if uses else (replace(doubt, layer=LAYER) for doubt in self._doubts(disk))
        return HostUse(tuple(used), tuple(unknown))

    def uses(self, disk: str) -> tuple[Sign, ...]:
        """What lies on a disk that the host uses, each once."""
        if disk not in self._known:
            found = {use.what: use for use in reversed([*self._uses(disk, set())])}
            self._known[disk] = tuple(reversed(found.values()))
        return self._known[disk]

    def _disks(self, names: list[str]) -> list[str]:
        parts = {part for name in names for part in self._parts.get(name, ())}
        return list(dict.fromkeys(self._head(name) for name in names if name not in parts))

    def _head(self, name: str) -> str:
        # With native multipath the namespace below a controller is a hidden path (nvme0c0n1);
        # what can be mounted is the head (nvme0n1), which hangs below no controller.
        match = _NVME_PATH.fullmatch(name)
        head = match[1] + match[2] if match else name
        return head if head in self._class.links else name

    def _uses(self, name: str, seen: set[str], through: str = "") -> Iterator[Sign]:
        """What the host does with a device, directly or through what lies on top of it."""
        seen.add(name)
        for use in self._direct(name):
            yield replace(use, what=use.what + through)
        for part in self._parts.get(name, ()):
            if part not in seen:
                yield from self._uses(part, seen, through)
        for holder in self._host.names(f"{self._class.path(name)}/holders") or ():
            if holder in self._class.links and holder not in seen:
                yield from self._held(name, holder, seen)

    def _held(self, name: str, holder: str, seen: set[str]) -> Iterator[Sign]:
        label = self._name(holder)
        held = Sign(f"held by {label}", f"/{self._class.path(name)}/holders", holder)
        yield from tuple(self._uses(holder, seen, f" through {label}")) or (held,)

    def _direct(self, name: str) -> Iterator[Sign]:
        number = self._number(name)
        mounts = [*self._mounts.by_number.get(number, ())]
        aliases = (name, f"mapper/{self._name(name)}")
        mounts = mounts or next((self._mounts.by_source[a] for a in aliases if a in self._mounts.by_source), [])
        mounts = mounts or self._filesystems.mounts_of(name)
        yield from (mount.sign for mount in shortest(mounts))
        if not mounts:
            yield from self._filesystems.elsewhere(name)
        yield from (self._mounts.swaps[alias] for alias in aliases if alias in self._mounts.swaps)
        yield from self._backing.uses_of(name, number)

    def _open(self, disk: str) -> Iterator[Sign]:
        """Processes that have a disk or a part of it open, as a VM has a raw disk."""
        numbers = [f"block/{self._number(name)}" for name in (disk, *self._parts.get(disk, ()))]
        yield from (user for _, user in self._opened.users_of(numbers))

    def _doubts(self, disk: str) -> Iterator[Sign]:
        """Why a disk on which nothing is seen may be in use all the same."""
        for name in (disk, *self._parts.get(disk, ())):
            yield from self._doubt(name)
        if _NVME_PATH.fullmatch(disk):
            yield Sign(f"{disk} is a path of a disk that is not to be seen", f"/{self._class.path(disk)}")
        yield from filter(None, (self._mounts.doubt, self._mounts.swaps_doubt, self._opened.doubt))
        yield from self._loose_ends

    def _doubt(self, name: str) -> Iterator[Sign]:
        number = self._number(name)
        label = self._labels.of(number)
        file = f"/{self._labels.path(number)}"
        if label is None:
            what = f"what {name} holds is not to be seen: udev has no record of it"
            yield Sign(what, file, look=f"`blkid -p` of {name}, as root on the node itself")
        elif label.member:
            yield Sign(f"{name} is {label.member}", file, label.kind or label.partition, f"`lsblk -f` for {name}")
        elif label.kind not in DECIDED:
            what = f"{name} holds {label.kind}, which may be mounted in another mount namespace"
            yield Sign(what, file, label.kind, f"`grep -l {number} /proc/[0-9]*/mountinfo`")

    @cached_property
    def _loose_ends(self) -> tuple[Sign, ...]:
        """What is mounted or swapped to on no disk that is seen: it may lie on any."""
        reached: set[str] = set()
        for name, link in self._class.links.items():
            if "/virtual/" not in link or self._backing.is_base(name):
                tuple(self._uses(name, reached))
        numbers = {self._number(name): name for name in reached}
        names = reached | {f"mapper/{self._name(name)}" for name in reached}
        return tuple(self._filesystems.loose_ends(numbers, names))

    @cached_property
    def _filesystems(self) -> Filesystems:
        return Filesystems(self._host, self._mounts, self._class.links, self._label)

    @cached_property
    def _backing(self) -> Backing:
        return Backing(self._host, self._mounts, {name: self._class.path(name) for name in self._class.links})

    def _label(self, name: str) -> Label | None:
        return self._labels.of(self._number(name))

    def _number(self, name: str) -> str:
        return self._host.read(f"{self._class.path(name)}/dev") or ""

    def _name(self, name: str) -> str:
        """What people know a device-mapper device by."""
        return self._host.read(f"{self._class.path(name)}/dm/name") or name
