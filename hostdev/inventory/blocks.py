"""Disks of PCI functions, and what the host keeps on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.host import Host
from hostdev.inventory.classes import DeviceClass
from hostdev.inventory.mounts import Mounts, read_mounts
from hostdev.machine import BlockDevice

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
