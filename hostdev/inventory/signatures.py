"""What lies on a block device by the marks that file systems, LVM, MD and others leave on it, as blkid finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Read = Callable[[int, int], bytes]
"""So many bytes from an offset; fewer at the end."""


class Mark(NamedTuple):
    """Bytes at an offset, counted from the end where it is negative, and what blkid calls what has them."""

    offset: int
    magic: bytes
    kind: str


MARKS = (
    # It follows LABELONE, which wipefs leaves there.
    *(Mark(sector * 512 + 24, b"LVM2 001", "LVM2_member") for sector in range(4)),
    *(Mark(offset, bytes.fromhex("fc4e2ba9"), "linux_raid_member") for offset in (0, 4096, -8192, -65536)),
    Mark(4096 + 24, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), "bcache"),
    Mark(4096 + 24, bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"), "bcachefs"),
    Mark(65536 + 64, b"_BHRfS_M", "btrfs"),
    Mark(0, b"bluestore block device", "ceph_bluestore"),
    Mark(0, b"LUKS\xba\xbe", "crypto_LUKS"),
    Mark(512 + 4, b"!Stra0tis\x86\xff\x02^\x41rh", "stratis"),
    Mark(-1024, b"Intel Raid ISM Cfg Sig. ", "isw_raid_member"),
    Mark(-512, bytes.fromhex("de11de11"), "ddf_raid_member"),
    Mark(1 << 20, bytes.fromhex("0dd001c0"), "VMFS_volume_member"),
    Mark(65536, bytes.fromhex("01161970"), "gfs2"),
    *(Mark(offset, b"OCFSV2", "ocfs2") for offset in (1024, 2048, 4096, 8192)),
    Mark(1080, b"\x53\xef", "ext4"),
    Mark(0, b"XFSB", "xfs"),
    Mark(1024, bytes.fromhex("1020f5f2"), "f2fs"),
    Mark(1024, bytes.fromhex("e2e1f5e0"), "erofs"),
    *(Mark(page - 10, b"SWAPSPACE2", "swap") for page in (4096, 8192, 16384, 65536)),
    Mark(3, b"NTFS    ", "ntfs"),
    Mark(3, b"EXFAT   ", "exfat"),
    Mark(54, b"FAT", "vfat"),
    Mark(82, b"FAT32", "vfat"),
    Mark(32769, b"CD001", "iso9660"),
    Mark(0, b"hsqs", "squashfs"),
)
"""By Documentation/ of the kernel and the formats' own headers; members of something come first."""
_ZFS_LABEL, _ZFS_LIST = 16 << 10, b"pool_guid"
_ZFS_READ = 112 << 10
_GPT = b"EFI PART"
_SECTORS = (512, 4096)
_ENTRIES = 128


def identify(read: Read, size: int) -> str:
    """What blkid would call what lies there; empty where there is no mark."""
    for mark in MARKS:
        offset = mark.offset if mark.offset >= 0 else _from_end(size, mark.offset)
        if 0 <= offset < size and read(offset, len(mark.magic)) == mark.magic:
            return mark.kind
    return "zfs_member" if _ZFS_LIST in read(_ZFS_LABEL, _ZFS_READ) else ""


def partition_types(read: Read) -> dict[int, str]:
    """The types in a GPT, by the number of the partition."""
    for sector in _SECTORS:
        header = read(sector, 92)
        if header.startswith(_GPT) and len(header) == 92:
            return dict(_types(read, header, sector))
    return {}


def _types(read: Read, header: bytes, sector: int) -> Iterator[tuple[int, str]]:
    first, count, size = (int.from_bytes(header[a:b], "little") for a, b in ((72, 80), (80, 84), (84, 88)))
    for number in range(min(count, _ENTRIES)):
        guid = read(first * sector + number * size, 16)
        if len(guid) == 16 and any(guid):
            yield number + 1, _guid(guid)


def _guid(raw: bytes) -> str:
    """As people write it: the first three parts are little-endian."""
    parts = (raw[3::-1], raw[5:3:-1], raw[7:5:-1], raw[8:10], raw[10:])
    return "-".join(part.hex() for part in parts)


def _from_end(size: int, offset: int) -> int:
    # MD lies 8 KiB before the end, aligned to 4 KiB; the old one at the last whole 64 KiB.
    align = {-8192: 4096, -65536: 65536}.get(offset, 1)
    return (size + offset) // align * align
