"""What only the running kernel tells, beside its files: asked before a device is taken from its driver."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from hostdev.inventory import netlink
from hostdev.inventory.machine import Sign
from hostdev.inventory.signatures import identify, partition_types

_OURS, _HOSTS = Path("/proc/self/ns/net"), Path("/proc/1/ns/net")
_EXCLUSIVE = os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC | os.O_NONBLOCK


class Probe:
    """Opens block devices and asks netlink, on the machine that it runs on.

    Nothing is written. An exclusive open claims a device for as long as it is open, and a mount at that very moment
    would fail: it is closed at once, and no command that only reads asks here. What could not be asked comes back in
    words.
    """

    def claim(self, name: str, number: str) -> tuple[Sign | None, str]:
        """Whether the kernel has a block device open exclusively: a mount in any namespace, swap, MD, LVM."""
        path = f"/dev/{name}"
        try:
            fd = os.open(path, _EXCLUSIVE)
            try:
                _check_number(fd, number)
            finally:
                os.close(fd)
        except OSError as error:
            if error.errno == errno.EBUSY:
                return Sign("the kernel has it open exclusively", path, "EBUSY"), ""
            return None, error.strerror or str(error)
        return None, ""

    def label(self, name: str, number: str) -> tuple[str, dict[int, str]] | None:
        """What lies on a block device, and the types of its partitions; None where it cannot be read."""
        try:
            return _read_block_device(f"/dev/{name}", number)
        except OSError:
            return None

    def network(self, interface: str) -> tuple[tuple[Sign, ...], str]:
        """Addresses and routes of an interface."""
        try:
            if not is_in_hosts_network():
                return (), "this process is in another network namespace than the host"
            return tuple(_network(interface)), ""
        except OSError as error:
            return (), error.strerror or str(error)


def is_in_hosts_network() -> bool:
    """Whether this process is in the network namespace of process 1; raises OSError."""
    return _OURS.readlink() == _HOSTS.readlink()


def _network(interface: str) -> Iterator[Sign]:
    for address in netlink.addresses_of(interface):
        yield Sign(f"has the address {address}", "netlink RTM_GETADDR", address)
    for route in netlink.routes_of(interface):
        what = "default route" if route.startswith("default ") else f"the route {route}"
        yield Sign(what, "netlink RTM_GETROUTE", route)


def _read_block_device(path: str, number: str) -> tuple[str, dict[int, str]]:
    """What lies on the block device with this number, and the types of its partitions; raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check_number(fd, number)
        size = os.lseek(fd, 0, os.SEEK_END)

        def read(offset: int, count: int) -> bytes:
            return os.pread(fd, count, offset)

        return identify(read, size), partition_types(read)
    finally:
        os.close(fd)


def _check_number(fd: int, number: str) -> None:
    """A node is that of the device that is meant; raises OSError."""
    status = os.fstat(fd)
    there = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if not stat.S_ISBLK(status.st_mode) or there != number:
        raise OSError(f"it is the node of {there}, not of {number}")
