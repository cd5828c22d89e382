"""What udev found on block devices, file systems on several of them, and mounts that lie on no disk that is seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, cached_property
from types import MappingProxyType
from typing import NamedTuple

from hostdev.inventory.host import Host
from hostdev.inventory.machine import Sign
from hostdev.inventory.mounts import ZFS, Mount, Mounts

SYSFS = "sys/fs"
POOLS = "proc/spl/kstat/zfs"
ZFS_MEMBER = "zfs_member"
NEEDS_NO_DISK = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "tmpfs", "ramfs", "rootfs"})
"""What may be mounted at / without a disk of this host."""
_LAYERS = ("upperdir", "lowerdir")
_MADE_UP = "0:"
DATABASE = "run/udev/data"
_PROPERTY = "E:"

MEMBERS: Mapping[str, str] = MappingProxyType(
    {
        "LVM2_member": "a physical volume of LVM",
        "LVM1_member": "a physical volume of LVM",
        "linux_raid_member": "a member of an MD array",
        "zfs_member": "a member of a ZFS pool",
        "bcachefs": "a member of a bcachefs",
        "bcache": "a part of a bcache",
        "drbd": "a backing device of DRBD",
        "mpath_member": "a path of a multipath device",
        "ceph_bluestore": "an OSD of Ceph",
        "VMFS_volume_member": "an extent of VMFS",
        "stratis": "a part of a Stratis pool",
        "ocfs2": "a file system that several hosts share",
        "gfs2": "a file system that several hosts share",
    }
)
"""Labels of what is in use, or will be, though nothing of it may be mounted."""
MEMBER_SUFFIX = "_member"
"""Firmware RAIDs: isw_raid_member, ddf_raid_member, …"""

PARTITIONS: Mapping[str, str] = MappingProxyType(
    {
        "6a898cc3-1dd2-11b2-99a6-080020736631": "a partition for ZFS",
        "e6d6d379-f507-44c2-a23c-238f2a3df928": "a partition for LVM",
        "a19d880f-05fc-4d3b-a006-743f0f84911e": "a partition for MD",
        "4fbd7e29-9d25-41b8-afd0-062c0ceff05d": "a partition for an OSD of Ceph",
        "aa31e02a-400f-11db-9590-000c2911d1b8": "a partition for VMFS",
    }
)
"""The same by the type in a GPT, for where the label was not found."""

BTRFS = "btrfs"
LISTED = ("ext4", "xfs", "f2fs", "nilfs2", "erofs")
"""File systems whose driver lists in /sys/fs each device that is mounted, in whatever mount namespace."""
DECIDED = frozenset({"", "ext3", "ext4", "xfs", "f2fs", "nilfs2", "erofs", "btrfs", "swap", "crypto_LUKS"})
"""Labels of which the kernel lists every use: there, in holders/, or in /proc/swaps."""


class Label(NamedTuple):
    """What lies on a device, and of which pool or array it says to be."""

    kind: str
    name: str
    partition: str

    @property
    def member(self) -> str | None:
        """What it says to be a part of, in words."""
        if self.kind in MEMBERS:
            return MEMBERS[self.kind]
        if self.kind.endswith(MEMBER_SUFFIX):
            return f"a part of a RAID ({self.kind})"
        return PARTITIONS.get(self.partition) if not self.kind else None


class Labels:
    """Reads the database a device at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.of = cache(self._of)

    def path(self, number: str) -> str:
        """Where the record of a device is."""
        return f"{DATABASE}/b{number}"

    def _of(self, number: str) -> Label | None:
        """The label of a device; None where there is no record of it."""
        text = self._host.text(self.path(number), quiet=True)
        if text is None:
            return None
        pairs = (line.removeprefix(_PROPERTY).partition("=") for line in text.splitlines() if line[:2] == _PROPERTY)
        said = {key: value for key, _, value in pairs}
        kind = "drbd" if said.get("ID_FS_TYPE", "").startswith("drbd") else said.get("ID_FS_TYPE", "")
        return Label(kind, said.get("ID_FS_LABEL", ""), said.get("ID_PART_ENTRY_TYPE", ""))


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
                yield Sign("mounted in another mount namespace, or unmounted lazily", f"/{SYSFS}/{kind}/{name}")
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
            elif mount.kind == BTRFS and not self._members:
                # Its mount names one disk, and only /sys/fs the others.
                yield Sign(f"which further disks {mount.point} lies on is not to be seen", f"/{SYSFS}/{BTRFS}")
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
