"""Putting the allocation file into a sidecar's mount, whole or not at all, and taking it away again."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from hooksidecar.agent.volumes import open_directory
from hooksidecar.container import ALLOCATION_FILE

DIRECTORY, _, NAME = ALLOCATION_FILE.rpartition("/")
NEW = f".{NAME}.new"
"""One name, so that what a killed process left is found by the next."""
MARK = b"#passgate-agent=1"
"""How a file of ours begins, for others may write it, too: a comment, or between NUL bytes a variable of no meaning."""
FILE_MODE = 0o400
DIRECTORY_MODE = 0o770
"""The pod's sidecars, and the admission policy's hook in it, make files of their own beside."""
UNFINISHED = 0o700
LARGEST = 2 << 20


def drop(mount: int, content: bytes, owner: int, watch: Callable[[int], object]) -> bool:
    """Let the file hold this, readable by this user only; false where it does already."""
    with _directory(mount, owner, watch) as directory:
        if _is_as_wanted(directory, content, owner):
            return False
        _write(directory, content, owner)
    return True


def remove(mount: int) -> bool:
    """Take our file away; false where there is none of ours."""
    directory = open_directory(mount, DIRECTORY)
    try:
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(NEW, dir_fd=directory)
        found = _read(directory)
        if found is None or not found[0].startswith(MARK):
            return False
        os.unlink(NAME, dir_fd=directory)
    finally:
        os.close(directory)
    return True


@contextmanager
def _directory(mount: int, owner: int, watch: Callable[[int], object]) -> Iterator[int]:
    """The directory of the file, made where it is missing, and watched before it is looked at: others write there."""
    fd = os.dup(mount)
    try:
        for name in DIRECTORY.split("/"):
            with suppress(FileExistsError):
                os.mkdir(name, UNFINISHED, dir_fd=fd)
            below = open_directory(fd, name)
            os.close(fd)
            fd = below
            _hand_over(fd, owner)
            watch(fd)
        yield fd
    finally:
        os.close(fd)


def _hand_over(directory: int, owner: int) -> None:
    """Give a directory that we made to the VM's user; we may have been killed before we could."""
    found = os.fstat(directory)
    ours = found.st_uid == os.geteuid()
    if ours and (found.st_uid != owner or found.st_mode & 0o777 == UNFINISHED):
        os.fchmod(directory, DIRECTORY_MODE)
        os.fchown(directory, owner, owner)


def _is_as_wanted(directory: int, content: bytes, owner: int) -> bool:
    found = _read(directory)
    if found is None:
        return False
    data, status = found
    # By a second name the file could be held on to.
    return data == content and (status.st_uid, status.st_mode & 0o777, status.st_nlink) == (owner, FILE_MODE, 1)


def _read(directory: int) -> tuple[bytes, os.stat_result] | None:
    """The file, if it is a plain one. Nothing else is opened: a FIFO may make us wait, a device may do things."""
    try:
        path = os.open(NAME, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            return None
        # Not by its name, which may be another file's by now. O_NONBLOCK: another process may hold a lease on it.
        file = os.open(f"/proc/self/fd/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(path)
    try:
        return os.read(file, LARGEST), status
    finally:
        os.close(file)


def _write(directory: int, content: bytes, owner: int) -> None:
    """A new file beside, whole on the disk, then renamed: no reader ever sees a part of it."""
    with suppress(FileNotFoundError):
        os.unlink(NEW, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(NEW, flags, FILE_MODE, dir_fd=directory)
    try:
        try:
            _write_all(file, content)
            os.fchown(file, owner, owner)
            os.fsync(file)
            made = os.fstat(file).st_ino
        finally:
            os.close(file)
        os.rename(NEW, NAME, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(NEW, dir_fd=directory)
        raise
    if os.stat(NAME, dir_fd=directory, follow_symlinks=False).st_ino != made:
        raise OSError(errno.EBUSY, "somebody else writes there")


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
