"""The two formats between a kernel package and a bootable machine: the newc archive and the compressed kernel."""

from __future__ import annotations

import stat
import struct
from collections.abc import Mapping

SETUP_SECTORS = 0x1F1
PAYLOAD_OFFSET = 0x248
SECTOR = 512
APPENDED_SIZE = 4
"""The kernel's build appends the unpacked size to the compressed payload."""


def archive(files: Mapping[str, bytes]) -> bytes:
    """An initramfs with these files, all executable, and the directories they need."""
    parents = {"/".join(name.split("/")[:depth]) for name in files for depth in range(1, name.count("/") + 1)}
    directories = sorted(parents | {"dev", "proc", "root", "sys"})
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in directories]
    entries += [(name, stat.S_IFREG | 0o755, data) for name, data in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def compressed_kernel(image: bytes) -> bytes:
    """The compressed ELF kernel inside an x86 boot image, by the image's own header."""
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    start = (image[SETUP_SECTORS] + 1) * SECTOR + offset
    return image[start : start + length - APPENDED_SIZE]


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name.encode() + b"\0") + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
