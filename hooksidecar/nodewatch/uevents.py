"""The kernel's own word that a device came, went, or has another driver."""

from __future__ import annotations

import errno
import re
import select
import socket
from typing import NamedTuple

from domxml.pciaddress import PciAddress

_KOBJECT_UEVENT = 15
_FROM_KERNEL = 1
"""The multicast group; in the other one udev tells what it made of it."""
_ROOM = 1 << 16
_BUFFER = 4 << 20
"""A PF with hundreds of VFs tells of all of them at once."""
_ADDRESS = re.compile(r"/([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])(?=/|$)")
_GROUP = re.compile(r"/virtual/vfio/(?:noiommu-)?([0-9]+)$")
SUBSYSTEMS = frozenset({"pci", "vfio", "vfio-dev", "iommu_groups"})


class Changes(NamedTuple):
    """What events were about."""

    functions: frozenset[PciAddress] = frozenset()
    groups: frozenset[int] = frozenset()
    lost: bool = False
    """There were more than there was room for."""


class Uevents:
    """Listens from its making on. In a container it hears of the whole node's devices."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _KOBJECT_UEVENT
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((0, _FROM_KERNEL))

    def wait(self, seconds: float | None = None) -> Changes:
        """Wait for events, and take all that have come."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        waiting.poll(None if seconds is None else seconds * 1000)
        return self._take()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def _take(self) -> Changes:
        functions: set[PciAddress] = set()
        groups: set[int] = set()
        lost = False
        while True:
            try:
                data, sender = self._socket.recvfrom(_ROOM)
            except BlockingIOError:
                return Changes(frozenset(functions), frozenset(groups), lost)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            # Any process of the node's root may send, too.
            if sender[0] == 0:
                about = read_event(data)
                functions |= about.functions
                groups |= about.groups


def read_event(data: bytes) -> Changes:
    """What one event is about: `bind@/devices/pci0000:00/…` and then lines of `NAME=VALUE`, all ended by NUL."""
    fields = dict(line.split("=", 1) for line in data.decode(errors="replace").split("\0") if "=" in line)
    path = fields.get("DEVPATH", "")
    if fields.get("SUBSYSTEM") not in SUBSYSTEMS:
        return Changes()
    if found := _GROUP.search(path):
        return Changes(groups=frozenset({int(found[1])}))
    addresses = _ADDRESS.findall(path)
    return Changes(frozenset({PciAddress.parse(addresses[-1])})) if addresses else Changes()
