"""Block devices that lie on others without holding them: loop, zram, bcache, and what is exported over a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from hostdev.inventory.host import Host
from hostdev.inventory.hostuse import Mounts
from hostdev.inventory.machine import Sign

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
        """Who lies on a device."""
        yield from self._known.get(number, ())
        path = f"{self._paths[name]}/bcache"
        if self._host.exists(path):
            yield Sign("a part of a bcache", f"/{path}")

    def is_base(self, name: str) -> bool:
        """Whether a virtual device lies on no other one, or in a file on a mount that is seen."""
        if name.startswith("loop"):
            file = self._host.read(f"{self._paths[name]}/loop/backing_file")
            return not file or (not file.startswith(_DEV) and self._mounts.beneath(file) is not None)
        return name.startswith(BASES)

    @cached_property
    def _known(self) -> dict[str, list[Sign]]:
        found: dict[str, list[Sign]] = {}
        for path, what in (*self._devices(), *self._exports()):
            said = self._host.read(path) or ""
            node = self._host.node(said.removeprefix("/")) if said.startswith(_DEV) else None
            if node:
                found.setdefault(node.removeprefix("block/"), []).append(Sign(what, f"/{path}", said))
        return found

    def _devices(self) -> Iterator[tuple[str, str]]:
        for kind, attribute in _BACKED:
            for name in filter(lambda name: name.startswith(kind), self._paths):
                yield f"{self._paths[name]}/{attribute}", f"held by {name}"

    def _exports(self) -> Iterator[tuple[str, str]]:
        for subsystem in self._host.names(NVMET) or ():
            directory = f"{NVMET}/{subsystem}/namespaces"
            for number in self._host.names(directory) or ():
                yield f"{directory}/{number}/device_path", "exported over NVMe-oF"
        for store in self._host.names(LIO, prefix="iblock_") or ():
            for name in self._host.names(f"{LIO}/{store}") or ():
                yield f"{LIO}/{store}/{name}/udev_path", "exported over SCSI"
