"""What udev's database says lies on a block device: a label, of a file system or of a member of something larger."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from hostdev.inventory.host import Host

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

LISTED = ("ext4", "xfs", "f2fs", "nilfs2", "erofs")
"""File systems whose driver lists in /sys/fs each device that is mounted, in whatever mount namespace."""
DECIDED = frozenset({"", "ext2", "ext3", "ext4", "xfs", "f2fs", "nilfs2", "erofs", "btrfs", "swap", "crypto_LUKS"})
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
