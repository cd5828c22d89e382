"""Opening directories below another one, and nothing else: no link is followed, no mount crossed, no way leads up.

What lies in a pod's volume is the pod's to arrange, also while we look.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache

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
