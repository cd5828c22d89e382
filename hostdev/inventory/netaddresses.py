"""Who is reached through an interface, or listens on it, as far as files tell by its name."""

from __future__ import annotations

from hostdev.inventory.host import Host
from hostdev.inventory.machine import Sign

IPV6 = "proc/net/if_inet6"
PACKET = "proc/net/packet"
_LINK_LOCAL = "20"
"""Every interface that is up has such an address."""


def read_addresses(host: Host) -> dict[str, Sign]:
    """Interfaces with an IPv6 address; those of IPv4 stand in no file by the interface's name."""
    found: dict[str, Sign] = {}
    for line in (host.text(IPV6) or "").splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[3] != _LINK_LOCAL:
            found.setdefault(fields[5], Sign("has an address", f"/{IPV6}", line))
    return found


def read_sniffed(host: Host) -> frozenset[str]:
    """Numbers of interfaces that a packet socket is bound to, as those of DHCP clients and dumps."""
    rows = (line.split() for line in (host.text(PACKET, quiet=True) or "").splitlines()[1:])
    return frozenset(fields[4] for fields in rows if len(fields) > 4 and fields[4] != "0")
