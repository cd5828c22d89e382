"""Files that are whole whenever the process dies, and on the disk when a function returns."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

LARGEST = 4 << 20
_DEPTH = 3
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def read_file(path: str) -> bytes | None:
    """The content; None where there is no plain file. Whatever else lies there is not opened."""
    with suppress(FileNotFoundError, NotADirectoryError):
        status = os.lstat(path)
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                return file.read(LARGEST)
    return None


def new_name(path: str) -> str:
    """Where a file is written before it takes its place: one name, so that what a killed process left is written over.

    It begins with a dot and ends otherwise, so that no reader of the directory takes it for a file.
    """
    directory, _, name = path.rpartition("/")
    return f"{directory}/.{name}.new"


def write_file(path: str, data: bytes, mode: int) -> None:
    """Put a file in its place, whole or not at all; a file that was there stays what it is to those that have it."""
    directory, beside = os.path.dirname(path), new_name(path)  # noqa: PTH120
    make_directory(directory)
    fd = os.open(beside, _WRITE | os.O_CREAT | os.O_TRUNC, mode)
    try:
        try:
            os.fchmod(fd, mode)
            _write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(beside, path)  # noqa: PTH104
    except OSError:
        with suppress(OSError):
            os.unlink(beside)  # noqa: PTH108
        raise
    _sync(directory)


def overwrite_file(path: str, data: bytes, *, padding: bytes) -> None:
    """Write anew the very file that containers have mounted: another one in its place would not be seen there.

    One write, with padding that means nothing up to the old length, and then the new length: a process that dies
    between leaves what can be read. A reader in the very moment of the write may see some of each.
    """
    fd = os.open(path, _WRITE)
    try:
        _write_all(fd, data.ljust(os.fstat(fd).st_size, padding))
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: str) -> None:
    """Make a directory, and those above it that are missing."""
    if os.path.isdir(path):  # noqa: PTH112
        return
    above = os.path.dirname(path)  # noqa: PTH120
    make_directory(above)
    with suppress(FileExistsError):
        os.mkdir(path, 0o755)  # noqa: PTH102
    _sync(above)


def remove_file(path: str) -> bool:
    """Take a file away; false where there is none."""
    try:
        os.unlink(path)  # noqa: PTH108
    except (FileNotFoundError, NotADirectoryError):
        return False
    _sync(os.path.dirname(path))  # noqa: PTH120
    return True


def remove_directory(path: str, depth: int = _DEPTH) -> bool:
    """Take a directory away with all that is in it; false where there is none. No link is followed."""
    try:
        with os.scandir(path) as found:
            entries = list(found)
    except (FileNotFoundError, NotADirectoryError):
        return False
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and depth > 1:
            remove_directory(entry.path, depth - 1)
        else:
            with suppress(FileNotFoundError):
                os.unlink(entry.path)  # noqa: PTH108
    with suppress(FileNotFoundError):
        os.rmdir(path)  # noqa: PTH106
    _sync(os.path.dirname(path))  # noqa: PTH120
    return True


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _sync(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
