"""Kubelet's directory on the node: its checkpoint, and the pods that have a directory there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from hostdev.kubelet.checkpoint import FILE, MAX_BYTES

PODS = "pods"
"""Below kubelet's directory: a directory for each pod, named by its UID."""
PLUGINS = "plugins_registry"
"""Sockets of plugins, which kubelet finds there by itself. At its start it removes every socket in device-plugins, and
none here."""
DRIVERS, DRA_SOCKET = "plugins", "dra-"
"""Below kubelet's directory: a directory for each driver; and how its sockets there begin, one of each process."""
# O_NONBLOCK: whatever lies there must not stop us.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def read_checkpoint(directory: str) -> bytes:
    """The file as it is now; of one that is too long, enough to tell so."""
    return read_bounded(os.path.join(directory, FILE), MAX_BYTES)  # noqa: PTH118


def read_bounded(path: str, most: int, flags: int = 0) -> bytes:
    """A file as it is now; of one of more than `most` bytes, enough to tell so."""
    fd = os.open(path, _FLAGS | flags)
    with os.fdopen(fd, "rb") as file:
        return file.read(most + 1) or b""


def list_pods(directory: str) -> frozenset[str]:
    """The UIDs of the pods that kubelet has a directory of."""
    return frozenset(os.listdir(os.path.join(directory, PODS)))  # noqa: PTH118, PTH208


def dra_directory(directory: str, driver: str) -> str:
    """Where a driver for dynamic resource allocation has its sockets and what it keeps."""
    return os.path.join(directory, DRIVERS, driver)  # noqa: PTH118


def dra_sockets(directory: str, driver: str) -> tuple[str, ...]:
    """The sockets of a driver of ours; one may be that of a process that was killed."""
    of_driver = dra_directory(directory, driver)
    return tuple(find_sockets(of_driver, (DRA_SOCKET,)))


def find_sockets(directory: str, prefixes: tuple[str, ...]) -> Iterator[str]:
    """What is named so, and is a socket."""
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208
    except OSError:
        return
    for name in names:
        path = f"{directory}/{name}"
        with suppress(OSError):
            if name.startswith(prefixes) and stat.S_ISSOCK(os.lstat(path).st_mode):
                yield path
