"""Opening directories below another one, and nothing else: no link is followed, no mount crossed, no way leads up.

What lies in a pod's volume is the pod's to arrange, also while we look.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import NamedTuple

OPENAT2 = 437
"""The same number on every architecture."""
NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH = 0x01, 0x02, 0x04, 0x08
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
AT_FDCWD = -100
TRIES = 32

_LIBC = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_directory(at: int, path: str, *, may_cross: bool = False) -> int:
    """Open the directory that a plain path below `at` leads to; `may_cross` lets it be on another mount."""
    if kernel_has_it():
        return by_openat2(at, path, may_cross=may_cross)
    return by_walking(at, path, may_cross=may_cross)


@cache
def kernel_has_it() -> bool:
    """Linux 5.6 and later; a seccomp filter may hide it, too."""
    try:
        os.close(_openat2(AT_FDCWD, b".", 0))
    except OSError:
        return False
    return True


def by_openat2(at: int, path: str, *, may_cross: bool) -> int:
    """The kernel sees to it."""
    resolve = BENEATH | NO_SYMLINKS | NO_MAGICLINKS | (0 if may_cross else NO_XDEV)
    for _ in range(TRIES):
        try:
            return _openat2(at, os.fsencode(path), resolve)
        except BlockingIOError:
            continue  # Something was renamed anywhere on the machine while the kernel looked.
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def by_walking(at: int, path: str, *, may_cross: bool) -> int:
    """Step by step: each one is a plain name, and leads to a directory of its own."""
    mount = os.fstat(at).st_dev
    fd = os.dup(at)
    for name in path.split("/"):
        try:
            if name in {"", ".", ".."}:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            below = os.open(name, DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
        if not may_cross and os.fstat(fd).st_dev != mount:
            os.close(fd)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return fd


def _openat2(at: int, path: bytes, resolve: int) -> int:
    how = _How(DIRECTORY, 0, resolve)
    fd = int(_LIBC.syscall(OPENAT2, at, ctypes.c_char_p(path), ctypes.byref(how), ctypes.sizeof(how)))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


CONTAINER = "compute"
"""The container that QEMU runs in; its devices are the VM's."""
EMPTY_DIRS = "volumes/kubernetes.io~empty-dir"
"""Below a pod's directory."""
MOST_ENTRIES = 1024
"""A pod may fill its volume with names; we read no more of them."""
MOST_FOLDERS = 64
EMPTY = 1.0
"""Seconds for which a volume that has nothing in it may be of either kind."""


class Volume(NamedTuple):
    """A volume that KubeVirt adds to virt-launcher pods."""

    name: str
    folder: re.Pattern[str]
    """The folders in it, each of which is the whole mount of one sidecar."""
    itself: bool
    """Whether it is the mount of all sidecars, where there is no such folder."""


VOLUMES = (
    # A folder a container since KubeVirt 1.6; kubelet makes each when its container is about to start.
    Volume("hook-sidecar-sockets", re.compile(r"hook-sidecar-[0-9]{1,4}"), itself=True),
    # A folder a Plugin, as the policy that adds the sidecar names it.
    Volume("kubevirt-plugin-sockets", re.compile(r"(?!userdata$)[a-z0-9][a-z0-9.-]{0,252}"), itself=False),
)


@contextmanager
def open_volume(pods: int, uid: str, volume: Volume) -> Iterator[int | None]:
    """A pod's volume, or None where there is none (yet). It may be a mount; what is in it may not."""
    try:
        fd = open_directory(pods, f"{uid}/{EMPTY_DIRS}/{volume.name}", may_cross=True)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


class Places(NamedTuple):
    """Where the sidecars of a pod look."""

    names: tuple[str, ...] | None
    """Names in the volume, or `.` for itself; None: that is to be seen in a moment."""
    crowded: bool = False
    """Whether there are more names in the volume than are read."""


def mounts(volume: Volume, fd: int) -> Places:
    """Where its sidecars look."""
    with os.scandir(fd) as entries:
        names = [entry.name for entry in islice(entries, MOST_ENTRIES + 1)]
    crowded = len(names) > MOST_ENTRIES
    folders = sorted(name for name in names if volume.folder.fullmatch(name))
    if folders or not volume.itself:
        return Places(tuple(folders[:MOST_FOLDERS]), crowded or len(folders) > MOST_FOLDERS)
    # Before KubeVirt 1.6 the first thing in it is what a sidecar makes, its socket or a directory; since then a folder.
    is_old = names or not 0 <= time.time() - os.fstat(fd).st_mtime < EMPTY
    return Places((".",) if is_old else None, crowded)
