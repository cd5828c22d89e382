"""Storage that comes over a network, and through which interface its server is reached."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hostdev.inventory.host import Host
from hostdev.inventory.machine import Sign
from hostdev.inventory.mounts import Mounts

ISCSI = "sys/class/iscsi_connection"
NVME = "sys/class/nvme"
_BITS = 128
_MAPPED = 0xFFFF << 32
"""Addresses of IPv4 among those of IPv6."""
_FABRICS = frozenset({"tcp", "rdma"})
OVER_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "ceph")
_SERVER = re.compile(r"\b(?:addr|traddr)=([0-9a-fA-F.:]+)")


class Route(NamedTuple):
    """A destination in 128 bits, how many of them count, and the interface that leads there."""

    destination: int
    length: int
    interface: str

    def leads_to(self, address: int) -> bool:
        """Whether an address lies behind it."""
        return (self.destination ^ address) >> (_BITS - self.length) == 0


def route4(destination: str, mask: str, interface: str) -> Route:
    """A route as /proc/net/route has it: in the byte order of the processor, which is little-endian nearly always."""
    address = int.from_bytes(int(destination, 16).to_bytes(4, "little"))
    return Route(_MAPPED | address, 96 + int(mask, 16).bit_count(), interface)


def route6(destination: str, length: str, interface: str) -> Route:
    """A route as /proc/net/ipv6_route has it."""
    return Route(int(destination, 16), int(length, 16), interface)


def find_interface(routes: Iterable[Route], server: str) -> str | None:
    """The interface of the longest route to a server, None where no route is seen."""
    try:
        address = _address(server)
    except ValueError:
        return None
    leading = [route for route in routes if route.leads_to(address)]
    best = max(leading, key=lambda route: route.length, default=None)
    return best and best.interface


def _address(text: str) -> int:
    """An address in 128 bits; ipaddress is not worth its import."""
    if ":" not in text:
        return _MAPPED | int.from_bytes(bytes(map(int, text.split("."))))
    front, _, back = (text if "::" in text else f"{text}::").partition("::")
    first, last = (re.findall("[^:]+", part) for part in (front, back))
    words = [*first, *["0"] * (8 - len(first) - len(last)), *last]
    return sum(int(word, 16) << 16 * (7 - at) for at, word in enumerate(words))


def read_servers(host: Host, mounts: Mounts) -> Iterator[tuple[str, Sign]]:
    """The address of each server, and what comes from it."""
    for name in host.names(ISCSI) or ():
        server = host.read(f"{ISCSI}/{name}/address") or host.read(f"{ISCSI}/{name}/persistent_address")
        if server:
            yield server, Sign("disks over iSCSI", f"/{ISCSI}/{name}/address", server)
    for name in host.names(NVME) or ():
        said = host.read(f"{NVME}/{name}/address") or ""
        found = _SERVER.search(said)
        if found and host.read(f"{NVME}/{name}/transport") in _FABRICS:
            yield found[1], Sign("disks over NVMe-oF", f"/{NVME}/{name}/address", said)
    for mount in mounts.all:
        found = _SERVER.search(mount.line) if mount.kind in OVER_NETWORK else None
        if found:
            yield found[1], Sign(f"{mount.point} over {mount.kind}", f"/{mount.file}", mount.line)
