"""File systems that lie on several devices, those mounted where we cannot see, and mounts that lie on no disk seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property

from hostdev.inventory.host import Host
from hostdev.inventory.hostuse import ZFS, Mount, Mounts
from hostdev.inventory.labels import LISTED, Label
from hostdev.inventory.machine import Sign

SYSFS = "sys/fs"
POOLS = "proc/spl/kstat/zfs"
ZFS_MEMBER = "zfs_member"
NEEDS_NO_DISK = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "tmpfs", "ramfs", "rootfs"})
"""What may be mounted at / without a disk of this host."""
_LAYERS = ("upperdir", "lowerdir")
_MADE_UP = "0:"


class Filesystems:
    """What the kernel says of file systems beside the table of mounts."""

    def __init__(
        self, host: Host, mounts: Mounts, names: Collection[str], label: Callable[[str], Label | None]
    ) -> None:
        self._host = host
        self._mounts = mounts
        self._names = names
        self._label = label

    def mounts_of(self, name: str) -> list[Mount]:
        """Mounts of the file system that a device is one of several members of."""
        siblings = self._members.get(name, ("", ()))[1]
        found = next((self._mounts.by_source[one] for one in siblings if one in self._mounts.by_source), None)
        return found or self._of_pool(self._pool(name))

    def elsewhere(self, name: str) -> Iterator[Sign]:
        """What tells that a device is mounted, though it is in no table of mounts that we see."""
        for kind in LISTED:
            if name in self._listed(kind):
                yield Sign("mounted in another mount namespace", f"/{SYSFS}/{kind}/{name}")
        if name in self._members:
            yield Sign("a member of a mounted file system", f"/{self._members[name][0]}", name)
        pool = self._pool(name)
        if pool and pool in self._pools:
            yield Sign(f"a member of the ZFS pool {pool}", f"/{POOLS}/{pool}")

    def loose_ends(self, numbers: Mapping[str, str], names: Collection[str]) -> Iterator[Sign]:
        """Mounts and swap of which it is not known on which disk they lie."""
        for mount in self._mounts.all:
            if not self._lies_on(mount, numbers, names):
                yield Sign(f"on which disk {mount.point} lies is not to be seen", f"/{mount.file}", mount.line)
        for name, sign in self._mounts.swaps.items():
            if not name.startswith("/") and name not in names and not self._resolved(name, numbers):
                yield Sign(f"on which disk the swap {name} lies is not to be seen", sign.file, sign.content)
        if self._mounts.root is None:
            yield Sign("on which disk / lies is not to be seen", "/proc/1/mountinfo")

    def _lies_on(self, mount: Mount, numbers: Mapping[str, str], names: Collection[str]) -> bool:
        if not mount.number.startswith(_MADE_UP):
            return mount.number in numbers
        if mount.sources:
            return all(source in names or self._resolved(source, numbers) for source in mount.sources)
        if mount.kind == ZFS:
            pool = mount.source.partition("/")[0]
            return any(self._pool(name) == pool for name in self._names)
        if mount.point != "/" or mount.kind in NEEDS_NO_DISK:
            return True
        return self._layers_are_mounts(mount)

    def _layers_are_mounts(self, root: Mount) -> bool:
        """Whether an overlay at / lies on other mounts that are seen."""
        options = dict(option.partition("=")[::2] for option in root.line.rpartition(" ")[2].split(","))
        layers = [place for key in _LAYERS for place in options.get(key, "").split(":") if place]
        beneath = [self._mounts.beneath(place) for place in layers]
        return bool(layers) and all(mount is not None and mount.point != "/" for mount in beneath)

    def _resolved(self, name: str, numbers: Mapping[str, str]) -> bool:
        """Whether another name below /dev is that of a device that is known."""
        node = self._host.node(f"dev/{name}")
        return node is not None and node.removeprefix("block/") in numbers

    def _pool(self, name: str) -> str:
        label = self._label(name)
        return label.name if label and label.kind == ZFS_MEMBER else ""

    def _of_pool(self, pool: str) -> list[Mount]:
        return [m for m in self._mounts.all if pool and m.kind == ZFS and m.source.partition("/")[0] == pool]

    def _listed(self, kind: str) -> frozenset[str]:
        return self._mounted_anywhere[kind]

    @cached_property
    def _mounted_anywhere(self) -> dict[str, frozenset[str]]:
        return {kind: frozenset(self._host.names(f"{SYSFS}/{kind}") or ()) for kind in LISTED}

    @cached_property
    def _pools(self) -> frozenset[str]:
        """Pools that are imported."""
        return frozenset(self._host.names(POOLS) or ()) | {m.source.partition("/")[0] for m in self._zfs_mounts}

    @property
    def _zfs_mounts(self) -> Iterable[Mount]:
        return (mount for mount in self._mounts.all if mount.kind == ZFS)

    @cached_property
    def _members(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Members of mounted btrfs and bcachefs: where that stands, and all members, by their names."""
        found: dict[str, tuple[str, tuple[str, ...]]] = {}
        for directory, names in (*self._btrfs(), *self._bcachefs()):
            for name in names:
                found[name] = directory, names
        return found

    def _btrfs(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for uuid in self._host.names(f"{SYSFS}/btrfs") or ():
            directory = f"{SYSFS}/btrfs/{uuid}/devices"
            names = self._host.names(directory) if "-" in uuid else None
            if names:
                yield directory, tuple(names)

    def _bcachefs(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for uuid in self._host.names(f"{SYSFS}/bcachefs") or ():
            directory = f"{SYSFS}/bcachefs/{uuid}"
            links = (self._host.link_name(f"{directory}/{one}/block") for one in self._host.names(directory) or ())
            names = tuple(name for name in links if name)
            if names:
                yield directory, names
