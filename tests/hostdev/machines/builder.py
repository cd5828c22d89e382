"""Builds the files that a kernel would show of a machine."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hostdev.inventory.recorded.recording import Entry, File, Link, Names, Recording
from tests.hostdev.machines.resources import Space
from tests.hostdev.machines.routing import addresses, routing_id

PCI = "sys/bus/pci"
GROUPS = "sys/kernel/iommu_groups"
MSI = "0x00000000fee00000 0x00000000feefffff msi"
ARM_MSI = "0x0000000008000000 0x00000000080fffff msi"
VFIO_DRIVERS = frozenset({"vfio-pci", "mlx5_vfio_pci", "qat_vfio_pci", "hisi_acc_vfio_pci"})
BRIDGE = 0x060400


@dataclass(frozen=True, slots=True)
class Place:
    """A host bridge or a function: what the next function can hang below."""

    path: str
    address: str = ""
    group: int | None = None
    node: int = -1


class Builder:
    """Collects entries; each method adds what one kind of device brings along."""

    def __init__(
        self,
        *,
        release: str = "6.12.57+deb13-amd64",
        cmdline: str = "BOOT_IMAGE=/vmlinuz root=/dev/sda2 ro intel_iommu=on iommu=pt quiet",
        arch: str | None = "x86_64",
        units: Sequence[str] = ("dmar0", "dmar1"),
        tables: Sequence[str] | None = ("DMAR",),
        group_type: str = "DMA-FQ",
        regions: Sequence[str] = (MSI,),
        vfio_dev: bool = True,
        vfio_nodes: bool = True,
        open_to_view: bool = True,
    ) -> None:
        self.entries: dict[str, Entry] = {}
        self.group_type = group_type
        self.regions = regions
        self.vfio_dev = vfio_dev
        self.vfio_nodes = vfio_nodes
        self._groups: dict[int, dict[str, str]] = {}
        self._vfio_devs = 0
        self._hubs = 0
        self._numbers = 0
        self._space = Space()
        self._mounts = ["22 1 0:21 / /proc rw,nosuid - proc proc rw"]
        self._routes = ["Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT"]
        self._swaps = ["Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"]
        self.file("proc/cmdline", cmdline)
        self.file("proc/sys/kernel/osrelease", release)
        self.file("proc/sys/kernel/random/boot_id", "00000000-0000-4000-8000-000000000001")
        if arch:
            self.file("proc/sys/kernel/arch", arch)
        if units:
            self.names("sys/class/iommu", *units)
        if tables is not None:
            self.names("sys/firmware/acpi/tables", "APIC", "FACP", *tables)
        self._labels = open_to_view
        if open_to_view:
            self._as_root_sees_it()

    def recording(self, note: str) -> Recording:
        """The machine, with what only the whole tells: groups, mounts, routes."""
        for number, members in self._groups.items():
            directory = f"{GROUPS}/{number}"
            self.entries.setdefault(f"{directory}/type", _lines(self.group_type))
            self.entries.setdefault(f"{directory}/reserved_regions", _lines(*self.regions))
            for name, path in members.items():
                self.link(f"{directory}/devices/{name}", path)
        if "proc/self/mountinfo" not in self.entries:
            self.file("proc/1/mountinfo", *self._mounts)
        self.file("proc/net/route", *self._routes)
        self.file("proc/swaps", *self._swaps)
        return Recording(note=note, entries=self.entries)

    def file(self, path: str, *lines: str) -> None:
        self.entries[path] = _lines(*lines)

    def names(self, path: str, *names: str) -> None:
        self.entries[path] = Names(names)

    def link(self, path: str, target: str) -> None:
        self.entries[path] = Link(posixpath.relpath(target, posixpath.dirname(path)))

    def _as_root_sees_it(self) -> None:
        """The host's own processes, none of which has a device open, and the lists that tell of use."""
        self.file("proc/2/comm", "kthreadd")
        for path in ("sys/class/block", "proc/1/fd", "sys/dev/char", "sys/bus/usb/devices", "sys/class/vtconsole"):
            self.names(path)

    def root(self, name: str, *, node: int = -1, below: str = "sys/devices") -> Place:
        """A host bridge such as pci0000:3a."""
        return Place(f"{below}/{name}", node=node)

    def function(
        self,
        above: Place,
        address: str,
        ids: str,
        class_code: int,
        *,
        driver: str | None = None,
        subsystem: str = "",
        group: Place | int | None = None,
        grouped: bool = True,
        override: str | None = None,
        reset: str | None = "flr bus",
        node: int | None = None,
    ) -> Place:
        """A function, in the group of another one, or in one of its own."""
        path = f"{above.path}/{address}"
        node = above.node if node is None else node
        number = self._group(group, address, path) if grouped else None
        self.link(f"{PCI}/devices/{address}", path)
        self._numbers_of(path, ids, subsystem or ids, class_code)
        self._uevent(path, address, driver)
        self.file(f"{path}/numa_node", str(node))
        by_hand = driver if driver in VFIO_DRIVERS else None
        self.file(f"{path}/driver_override", override or by_hand or "(null)")
        if reset is not None:
            self.file(f"{path}/reset_method", reset)
        if class_code >> 8 in {0x0604, 0x0607}:
            self.file(f"{path}/secondary_bus_number", "1")
        if driver is not None:
            self.link(f"{path}/driver", f"{PCI}/drivers/{driver}")
            self.link(f"{PCI}/drivers/{driver}/{address}", path)
        place = Place(path, address, number, node)
        if driver in VFIO_DRIVERS:
            self._on_vfio(place)
        return place

    def bars(
        self, place: Place, *wanted: str, rom: int = 0, vfs: Sequence[str] = (), resizable: Sequence[int] = ()
    ) -> None:
        """The BARs of a function, as `1: 256M pref64`; `vfs` are those of all its VFs together."""
        self.file(f"{place.path}/resource", *self._space.lines(wanted, rom, vfs))
        for number in resizable:
            self.file(f"{place.path}/resource{number}_resize", "0000000000000000")

    def bridge(self, above: Place, address: str, ids: str = "8086:2030", **more: Place | int | str | None) -> Place:
        """A port; `driver` and `group` as for a function."""
        more.setdefault("driver", "pcieport")
        more.setdefault("reset", "pm")
        return self.function(above, address, ids, BRIDGE, **more)  # type: ignore[arg-type]

    def sriov(self, pf: Place, *, total: int, autoprobe: bool = True) -> None:
        """Makes a function a PF without VFs."""
        self.file(f"{pf.path}/sriov_totalvfs", str(total))
        self.file(f"{pf.path}/sriov_numvfs", "0")
        self.file(f"{pf.path}/sriov_drivers_autoprobe", str(int(autoprobe)))

    def vfs(
        self, pf: Place, first: str, ids: str, class_code: int, drivers: Sequence[str | None], *, total: int = 0
    ) -> list[Place]:
        """VFs of a PF from an address on, one for each driver."""
        self.sriov(pf, total=total or len(drivers), autoprobe=False)
        self.file(f"{pf.path}/sriov_numvfs", str(len(drivers)))
        self.file(f"{pf.path}/sriov_offset", str(routing_id(first) - routing_id(pf.address)))
        self.file(f"{pf.path}/sriov_stride", "1")
        above = Place(posixpath.dirname(pf.path), node=pf.node)
        vfs = []
        for index, (address, driver) in enumerate(zip(addresses(first), drivers, strict=False)):
            vf = self.function(
                above, address, ids, class_code, driver=driver, reset="flr", grouped=pf.group is not None
            )
            self.link(f"{pf.path}/virtfn{index}", vf.path)
            self.link(f"{vf.path}/physfn", pf.path)
            vfs.append(vf)
        return vfs

    def netdev(self, owner: Place | str, name: str, *, up: bool = True, kind: str = "") -> None:
        """An interface of a function, or a virtual one (with its kind: bond, bridge, vlan)."""
        base = "sys/devices/virtual" if isinstance(owner, str) else owner.path
        path = f"{base}/net/{name}"
        self._numbers += 1
        self.link(f"sys/class/net/{name}", path)
        self.file(f"{path}/address", f"02:00:00:00:00:{self._numbers:02x}")
        self.file(f"{path}/operstate", "up" if up else "down")
        self.file(f"{path}/flags", "0x1003" if up else "0x1002")
        devtype = [f"DEVTYPE={kind}"] if kind else []
        self.file(f"{path}/uevent", *devtype, f"INTERFACE={name}", f"IFINDEX={self._numbers}")

    def upper(self, lower: str, upper: str) -> None:
        """Puts one interface on top of another."""
        below, above = self._target(f"sys/class/net/{lower}"), self._target(f"sys/class/net/{upper}")
        self.link(f"{below}/upper_{upper}", above)
        self.link(f"{above}/lower_{lower}", below)

    def route(self, netdev: str, destination: str = "00000000", mask: str = "00000000") -> None:
        """A route, by default the default one."""
        self._routes.append(f"{netdev}\t{destination}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0")

    def disk(self, path: str, name: str, *, parts: Iterable[str] = ()) -> None:
        """A disk below a device path, and its partitions."""
        self._block(f"{path}/{name}", name)
        for part in parts:
            self._block(f"{path}/{name}/{part}", part)

    def mapped(self, name: str, label: str, *below: str) -> None:
        """A device-mapper device that holds others."""
        path = f"sys/devices/virtual/block/{name}"
        self._block(path, name)
        self.file(f"{path}/dm/name", label)
        for lower in below:
            self.hold(lower, name)

    def hold(self, lower: str, holder: str) -> None:
        """Makes a block device hold another one."""
        target = self._target(f"sys/class/block/{lower}")
        self.entries.pop(f"{target}/holders", None)
        self.link(f"{target}/holders/{holder}", self._target(f"sys/class/block/{holder}"))

    def mount(self, name: str, point: str, *, root: str = "/") -> None:
        """A mounted file system."""
        number = self.number_of(name)
        self._mounts.append(f"{30 + len(self._mounts)} 1 {number} {root} {point} rw,relatime - ext4 /dev/{name} rw")
        self.label(name, "ext4")

    def mount_line(self, number: str, point: str, rest: str) -> None:
        """A mount as mountinfo has it: a made-up number, a kind, a source and options."""
        self._mounts.append(f"{30 + len(self._mounts)} 1 {number} / {point} rw,relatime - {rest}")

    def device_node(self, name: str) -> None:
        """The node of a block device below /dev."""
        self.link(f"dev/{name}", f"sys/dev/block/{self.number_of(name)}")

    def label(self, name: str, kind: str, *more: str) -> None:
        """What udev found on a device: a file system, or a member of something larger."""
        if self._labels:
            self.file(f"run/udev/data/b{self.number_of(name)}", f"E:ID_FS_TYPE={kind}", *more)

    def opened(self, process: int, name: str, node: str) -> None:
        """A process that has a node open, such as char/226:0."""
        self.file(f"proc/{process}/comm", name)
        descriptors = f"proc/{process}/fd"
        self.link(
            f"{descriptors}/{len([path for path in self.entries if path.startswith(descriptors)])}", f"sys/dev/{node}"
        )

    def node(self, path: str, number: str) -> None:
        """A character device at a place below a function."""
        self.file(f"{path}/dev", number)
        if isinstance(self.entries.get("sys/dev/char"), Names):
            del self.entries["sys/dev/char"]
        self.link(f"sys/dev/char/{number}", path)

    def root_hub(self, place: Place) -> None:
        """What the driver of a USB controller makes, with nothing plugged in."""
        if isinstance(self.entries.get("sys/bus/usb/devices"), Names):
            del self.entries["sys/bus/usb/devices"]
        self._hubs += 1
        path = f"{place.path}/usb{self._hubs}"
        self.file(f"{path}/bDeviceClass", "09")
        self.file(f"{path}/idVendor", "1d6b")
        self.file(f"{path}/idProduct", "0002")
        self.link(f"sys/bus/usb/devices/usb{self._hubs}", path)

    def swap(self, name: str) -> None:
        """A device that is swapped to."""
        self._swaps.append(f"/dev/{name}                               partition\t4194300\t\t0\t\t-2")

    def nodes(self, *cpus: str) -> None:
        """NUMA nodes by their CPUs."""
        for node, text in enumerate(cpus):
            self.file(f"sys/devices/system/node/node{node}/cpulist", text)

    def module(self, name: str, **parameters: str) -> None:
        """A loaded module."""
        if not parameters:
            self.names(f"sys/module/{name}")
        for key, value in parameters.items():
            self.file(f"sys/module/{name}/parameters/{key}", value)

    def vfio(self, *modules: str, **parameters: str) -> None:
        """VFIO as distributions load it; more modules by name, parameters of vfio itself."""
        for name in ("vfio", "vfio_pci_core", *modules):
            self.module(name)
        self.module("vfio", enable_unsafe_noiommu_mode="N", **parameters)
        self.module("vfio_pci", disable_denylist="N", disable_idle_d3="N", disable_vga="N", enable_sriov="N")
        self.module("vfio_iommu_type1", allow_unsafe_interrupts="N", disable_hugepages="N", dma_entry_limit="65535")
        if self.vfio_nodes:
            self.file("dev/vfio/vfio")

    def mdev_type(self, parent: Place, name: str, title: str, available: int) -> None:
        """A kind of mediated device that a function can create."""
        self.link(f"sys/class/mdev_bus/{parent.address}", parent.path)
        directory = f"{parent.path}/mdev_supported_types/{name}"
        self.file(f"{directory}/name", title)
        self.file(f"{directory}/available_instances", str(available))
        self.file(f"{directory}/device_api", "vfio-pci")

    def mdev(self, parent: Place, uuid: str, type_name: str) -> None:
        """A mediated device, in a group of its own."""
        path = f"{parent.path}/{uuid}"
        self.link(f"sys/bus/mdev/devices/{uuid}", path)
        self.link(f"{path}/mdev_type", f"{parent.path}/mdev_supported_types/{type_name}")
        number = self._group(None, uuid, path)
        if self.vfio_nodes:
            self.file(f"dev/vfio/{number}")

    def platform_member(self, group: int | None, name: str) -> None:
        """Something that is no PCI function, in a group."""
        path = f"sys/devices/platform/{name}"
        self.file(f"{path}/uevent", "DRIVER=some")
        self._group(group, name, path)

    def region(self, group: int | None, *lines: str) -> None:
        """Reserved regions of a group, in place of the usual ones."""
        self.file(f"{GROUPS}/{group}/reserved_regions", *lines)

    def _group(self, group: Place | int | None, name: str, path: str) -> int:
        number = group.group if isinstance(group, Place) else group
        if number is None:
            number = max(self._groups, default=-1) + 1
        self._groups.setdefault(number, {})[name] = path
        self.link(f"{path}/iommu_group", f"{GROUPS}/{number}")
        return number

    def _numbers_of(self, path: str, ids: str, subsystem: str, class_code: int) -> None:
        vendor, device = ids.split(":")
        subvendor, subdevice = subsystem.split(":")
        numbers = {"vendor": vendor, "device": device, "subsystem_vendor": subvendor, "subsystem_device": subdevice}
        for name, number in numbers.items():
            self.file(f"{path}/{name}", f"0x{number}")
        self.file(f"{path}/class", f"0x{class_code:06x}")
        self.file(f"{path}/revision", "0x00")
        self.file(f"{path}/irq", "0")
        self.file(f"{path}/enable", "0")
        if class_code >> 8 == 0x0300:
            self.file(f"{path}/boot_vga", "0")

    def _uevent(self, path: str, address: str, driver: str | None) -> None:
        names = ("vendor", "device", "subsystem_vendor", "subsystem_device", "class")
        vendor, device, subvendor, subdevice, class_code = (self._number(f"{path}/{name}") for name in names)
        ids = f"v{vendor:08X}d{device:08X}sv{subvendor:08X}sd{subdevice:08X}"
        kind = f"bc{class_code >> 16:02X}sc{class_code >> 8 & 255:02X}i{class_code & 255:02X}"
        self.link(f"{path}/subsystem", PCI)
        self.file(
            f"{path}/uevent",
            *([f"DRIVER={driver}"] if driver else []),
            f"PCI_CLASS={class_code:X}",
            f"PCI_ID={vendor:04X}:{device:04X}",
            f"PCI_SUBSYS_ID={subvendor:04X}:{subdevice:04X}",
            f"PCI_SLOT_NAME={address}",
            f"MODALIAS=pci:{ids}{kind}",
        )

    def _number(self, path: str) -> int:
        entry = self.entries[path]
        assert isinstance(entry, File)
        return int(entry.content, 16)

    def _on_vfio(self, place: Place) -> None:
        if self.vfio_dev:
            name = f"vfio{self._vfio_devs}"
            self._vfio_devs += 1
            path = f"{place.path}/vfio-dev/{name}"
            self.file(f"{path}/dev", f"511:{self._vfio_devs}")
            self.link(f"sys/class/vfio-dev/{name}", path)
        if self.vfio_nodes and place.group is not None:
            self.file(f"dev/vfio/{place.group}")

    def _block(self, path: str, name: str) -> None:
        if isinstance(self.entries.get("sys/class/block"), Names):
            del self.entries["sys/class/block"]
        self._numbers += 1
        self.link(f"sys/class/block/{name}", path)
        self.file(f"{path}/dev", f"259:{self._numbers}")
        self.names(f"{path}/holders")
        if self._labels:
            self.file(f"run/udev/data/b259:{self._numbers}", "I:1")

    def number_of(self, name: str) -> str:
        """The `major:minor` of a block device."""
        entry = self.entries[f"{self._target(f'sys/class/block/{name}')}/dev"]
        assert isinstance(entry, File)
        return entry.content.decode().strip()

    def _target(self, link: str) -> str:
        entry = self.entries[link]
        assert isinstance(entry, Link)
        return posixpath.normpath(posixpath.join(posixpath.dirname(link), entry.target))


def _lines(*lines: str) -> File:
    return File("".join(f"{line}\n" for line in lines).encode())
