"""Disks of PCI functions, and what the host keeps on them, through every layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.inventory.filesystems import DECIDED, Filesystems, Label, Labels
from hostdev.inventory.host import Host
from hostdev.inventory.machine import BlockDevice, HostUse, Sign
from hostdev.inventory.mounts import Mounts, shortest
from hostdev.inventory.opennodes import OpenNodes
from hostdev.inventory.sysfs import DeviceClass, number

BLOCK = LAYER = "block"
_NUMBER = re.compile(r"[0-9]+:[0-9]+", re.ASCII)
_NVME_PATH = re.compile(r"(nvme[0-9]+)c[0-9]+(n[0-9]+)", re.ASCII)
NVMET = "sys/kernel/config/nvmet/subsystems"
LIO = "sys/kernel/config/target/core"
BASES = ("nvme", "nbd", "rbd", "ram", "zram")
"""Virtual devices that lie on no other block device of this host; namespaces of NVMe under multipath as well."""
_BACKED = (("loop", "loop/backing_file"), ("zram", "backing_dev"))
_DEV = "/dev/"


class Backing:
    """Who says of itself that it lies on a device, by the device's number."""

    def __init__(self, host: Host, mounts: Mounts, paths: Mapping[str, str]) -> None:
        self._host = host
        self._mounts = mounts
        self._paths = paths

    def uses_of(self, name: str, number: str) -> Iterator[Sign]:
        """What a device is used for that holds nothing of it."""
        yield from (sign for what, sign in self._known.get(number, ()) if not what)
        path = f"{self._paths[name]}/bcache"
        if self._host.exists(path):
            yield Sign("a part of a bcache", f"/{path}")

    def held_by(self, number: str) -> Iterator[tuple[str, Sign]]:
        """Devices that lie on one without being its holders."""
        yield from ((what, sign) for what, sign in self._known.get(number, ()) if what)

    def is_base(self, name: str) -> bool:
        """Whether a virtual device lies on no other one, or in a file on a mount that is seen."""
        if not name.startswith("loop"):
            return name.startswith(BASES)
        file = self._host.read(f"{self._paths[name]}/loop/backing_file")
        if not file or file.startswith(_DEV):
            return not file
        # The image of a live system lies on a mount that its root has hidden: what is seen there is the image itself.
        beneath = self._mounts.beneath(file)
        return beneath is not None and beneath.number != self._host.read(f"{self._paths[name]}/dev")

    @cached_property
    def _known(self) -> dict[str, list[tuple[str, Sign]]]:
        """By number: the name of a device that lies on it, if one does, and where that stands."""
        found: dict[str, list[tuple[str, Sign]]] = {}
        for path, name, what in (*self._devices(), *self._exports()):
            said = self._host.read(path) or ""
            node = self._host.node(said.removeprefix("/")) if said.startswith(_DEV) else None
            if node:
                found.setdefault(node.removeprefix("block/"), []).append((name, Sign(what, f"/{path}", said)))
        return found

    def _devices(self) -> Iterator[tuple[str, str, str]]:
        for kind, attribute in _BACKED:
            for name in filter(lambda name: name.startswith(kind), self._paths):
                yield f"{self._paths[name]}/{attribute}", name, f"held by {name}"

    def _exports(self) -> Iterator[tuple[str, str, str]]:
        for subsystem in self._host.names(NVMET) or ():
            directory = f"{NVMET}/{subsystem}/namespaces"
            for export in self._host.names(directory) or ():
                yield f"{directory}/{export}/device_path", "", "exported over NVMe-oF"
        for store in self._host.names(LIO, prefix="iblock_") or ():
            for name in self._host.names(f"{LIO}/{store}") or ():
                yield f"{LIO}/{store}/{name}/udev_path", "", "exported over SCSI"


class Blocks:
    """The disks that hang below each PCI function, and what lies on top of them: partitions, LVM, MD, dm-crypt."""

    def __init__(self, host: Host, mounts: Mounts, opened: OpenNodes) -> None:
        self._host = host
        self._opened = opened
        self._class = DeviceClass(host, BLOCK)
        self._parts: dict[str, list[str]] = {}
        for name, link in self._class.links.items():
            self._parts.setdefault(link.rpartition("/")[0].rpartition("/")[2], []).append(name)
        self._mounts = mounts
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

    def doubts(self) -> Iterator[Sign]:
        """Why a controller without any disk may have one all the same."""
        if not self._class.listed:
            yield Sign("which disks there are is not to be seen", f"/sys/class/{BLOCK}", layer=LAYER)
        yield from (replace(doubt, layer=LAYER) for doubt in self._loose_ends)

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
        """The uses that the host makes of a device, directly or through what lies on top of it."""
        seen.add(name)
        for use in self._direct(name):
            yield replace(use, what=use.what + through)
        for part in self._parts.get(name, ()):
            if part not in seen:
                yield from self._uses(part, seen, through)
        for holder, sign in (*self._holders(name), *self._backing.held_by(self._number(name))):
            if holder in self._class.links and holder not in seen:
                yield from tuple(self._uses(holder, seen, f" through {self._name(holder)}")) or (sign,)

    def _holders(self, name: str) -> Iterator[tuple[str, Sign]]:
        directory = f"{self._class.path(name)}/holders"
        for holder in self._host.names(directory) or ():
            yield holder, Sign(f"held by {self._name(holder)}", f"/{directory}", holder)

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
        """Processes that have a disk or a part of it open, as a VM has a raw disk; else the kernel itself."""
        numbers = [f"block/{self._number(name)}" for name in (disk, *self._parts.get(disk, ()))]
        users = tuple(user for _, user in self._opened.users_of(numbers))
        yield from users
        claimed, _ = self._claim(disk) if not users else (None, "")
        if claimed:
            mounts = (mount for number in numbers for mount in self._mounts.elsewhere(number.removeprefix("block/")))
            yield next((mount.sign for mount in mounts), claimed)

    def _claim(self, disk: str) -> tuple[Sign | None, str]:
        """What an exclusive open says, where it is made; a path of multipath has no node to open."""
        probe, number = self._host.probe, self._number(disk)
        if probe is None or _NVME_PATH.fullmatch(disk):
            return None, ""
        return probe.claim(_node(disk), number)

    def _doubts(self, disk: str) -> Iterator[Sign]:
        """Why a disk on which nothing is seen may be in use all the same."""
        looked = dict(self._looked(disk))
        for name in (disk, *self._parts.get(disk, ())):
            yield from self._doubt(name, looked.get(name))
        _, refused = self._claim(disk)
        if refused:
            yield Sign(f"{disk} cannot be opened to see whether it is in use: {refused}", f"/dev/{_node(disk)}")
        if _NVME_PATH.fullmatch(disk):
            yield Sign(f"{disk} is a path of a disk that is not to be seen", f"/{self._class.path(disk)}")
        yield from filter(None, (self._mounts.doubt, self._mounts.swaps_doubt, self._opened.doubt))
        yield from self._loose_ends

    def _looked(self, disk: str) -> Iterator[tuple[str, Label]]:
        """What lies on a disk and its partitions, where they may be opened."""
        probe = self._host.probe
        if probe is None or _NVME_PATH.fullmatch(disk):
            return
        types: dict[int, str] = {}
        for name in (disk, *self._parts.get(disk, ())):
            told = probe.label(_node(name), self._number(name))
            if told:
                types = types or told[1]
                part = number(self._host.read(f"{self._class.path(name)}/partition"))
                yield name, Label(told[0], "", types.get(part or 0, ""))

    def _doubt(self, name: str, looked: Label | None) -> Iterator[Sign]:
        number = self._number(name)
        label = self._labels.of(number)
        file = f"/{self._labels.path(number)}"
        if looked and not (label and label.member):
            label, file = looked, f"/dev/{_node(name)}"
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
        number = self._host.read(f"{self._class.path(name)}/dev") or ""
        return number if _NUMBER.fullmatch(number) else ""

    def _name(self, name: str) -> str:
        """The name by which people know a device-mapper device."""
        return self._host.read(f"{self._class.path(name)}/dm/name") or name


def _node(name: str) -> str:
    """The node of a block device below /dev; sysfs writes `cciss!c0d0` for `cciss/c0d0`."""
    return name.replace("!", "/")
