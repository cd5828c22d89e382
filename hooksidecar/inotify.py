"""The kernel's inotify, which the standard library has none of."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

CREATE, MOVED_TO, CLOSE_WRITE = 0x100, 0x80, 0x08
DELETE, MOVED_FROM = 0x200, 0x40
DELETE_SELF, MOVE_SELF, ONLYDIR, ONESHOT = 0x400, 0x800, 0x0100_0000, 0x8000_0000
OVERFLOW, IGNORED = 0x4000, 0x8000

_HEAD = struct.Struct("iIII")
_ROOM = 1 << 16
_LIBC = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    """Something happened to a watch, or to a name in its directory."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One instance; its descriptor is readable when there are events."""

    def __init__(self) -> None:
        self.fd = _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, path: str, mask: int) -> int:
        """Begin to watch a directory; the same one gets the same number."""
        return _checked(_LIBC.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(mask)))

    def events(self) -> Iterator[Event]:
        """What happened since the last call, without waiting."""
        try:
            data = os.read(self.fd, _ROOM)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            yield Event(watch, mask, os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length


def _checked(number: int) -> int:
    if number < 0:
        code = ctypes.get_errno() or errno.EIO
        raise OSError(code, os.strerror(code))
    return number
