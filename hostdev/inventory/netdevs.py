"""Network interfaces of PCI functions, and why the host needs them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import HostUse, NetDevice, Sign
from hostdev.inventory.mounts import Mounts
from hostdev.inventory.netstorage import Route, find_interface, read_servers, route4, route6
from hostdev.inventory.sysfs import DeviceClass

CLASS = "net"
LAYER = "net"
IPV4 = "proc/net/route"
IPV6 = "proc/net/ipv6_route"
ADDRESSES6 = "proc/net/if_inet6"
PACKET = "proc/net/packet"
DEFAULT = "default route"
OTHER = "routes"
_REJECT = 0x0200
_LOOPBACK = "lo"
_LOCAL = ("fe80", "ff")
"""Link-local and multicast: every interface that is up has them."""
_LINK_LOCAL = "20"
"""Every interface that is up has such an address."""
_PLAIN = re.compile(r"[\w.@-]+", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{16}|[0-9a-fA-F]{34}", re.ASCII)
_IFF_UP = 1
_UPPER = "upper_"
_LOOK = "`ip address` and `ip route show table all`"
_KIND = "DEVTYPE="


def read_routes(host: Host) -> dict[str, Sign]:
    """Interface by interface: whether a default route leaves through it, or other ones."""
    found: dict[str, Sign] = {}
    for route, sign in (*_ipv4(host), *_ipv6(host)):
        name = route.interface
        if name not in found or (sign.what == DEFAULT and found[name].what != DEFAULT):
            found[name] = sign
    return found


def read_storage(host: Host, mounts: Mounts) -> dict[str, list[Sign]]:
    """Interface by interface: the storage whose server is reached through it."""
    servers = [*read_servers(host, mounts)]
    routes = [route for route, _ in (*_ipv4(host), *_ipv6(host))] if servers else []
    found: dict[str, list[Sign]] = {}
    for server, sign in servers:
        name = find_interface(routes, server)
        if name:
            found.setdefault(name, []).append(sign)
    return found


def _ipv4(host: Host) -> Iterator[tuple[Route, Sign]]:
    for line in (host.text(IPV4) or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and _HEX.fullmatch(fields[1] + fields[7]) and not _rejects(fields[3]):
            kind = DEFAULT if set(fields[1] + fields[7]) == {"0"} else OTHER
            yield route4(fields[1], fields[7], fields[0]), Sign(kind, f"/{IPV4}", " ".join(fields))


def _ipv6(host: Host) -> Iterator[tuple[Route, Sign]]:
    for line in (host.text(IPV6) or "").splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[9] == _LOOPBACK or _rejects(fields[8]) or fields[0].startswith(_LOCAL):
            continue
        kind = DEFAULT if set(fields[0] + fields[1]) == {"0"} else OTHER
        if _HEX.fullmatch(fields[0] + fields[1]):
            yield route6(fields[0], fields[1], fields[9]), Sign(kind, f"/{IPV6}", " ".join(fields))


def _rejects(flags: str) -> bool:
    try:
        return bool(int(flags, 16) & _REJECT)
    except ValueError:
        return True


def read_addresses(host: Host) -> dict[str, Sign]:
    """Interfaces with an IPv6 address; those of IPv4 stand in no file by the interface's name."""
    found: dict[str, Sign] = {}
    for line in (host.text(ADDRESSES6) or "").splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[3] != _LINK_LOCAL:
            found.setdefault(fields[5], Sign("has an address", f"/{ADDRESSES6}", line))
    return found


def read_sniffed(host: Host) -> frozenset[str]:
    """Numbers of interfaces that a packet socket is bound to, as those of DHCP clients and dumps."""
    rows = (line.split() for line in (host.text(PACKET, quiet=True) or "").splitlines()[1:])
    return frozenset(fields[4] for fields in rows if len(fields) > 4 and fields[4] != "0")


class Netdevs:
    """The interfaces that hang below each PCI function."""

    def __init__(self, host: Host, mounts: Mounts) -> None:
        self._host = host
        self._mounts = mounts

    def of(self, address: PciAddress, path: str) -> tuple[NetDevice, ...]:
        """Those of the function at a path: in its net/ if it is a network card, else over virtio or USB."""
        own = self._host.names(f"{path}/net")
        return tuple(map(self._netdev, self._class.of(address) if own is None else own))

    def use_beneath(self, address: PciAddress, path: str) -> HostUse:
        """What the host does with the interfaces below a function, those of other functions below it too."""
        used: list[Sign] = []
        unknown: list[Sign] = []
        own = self._host.names(f"{path}/net")
        names = dict.fromkeys([*(own or ()), *self._class.beneath(address)])
        for name in names:
            uses = [*self._uses(name)]
            used += [replace(use, what=f"{name} ({use.what})", layer=LAYER) for use in uses]
            unknown += () if uses else self._doubts(name)
        if own is not None and not names:
            unknown.append(_elsewhere(f"{path}/net"))
        return HostUse(tuple(used), tuple(unknown))

    @cached_property
    def _class(self) -> DeviceClass:
        return DeviceClass(self._host, CLASS)

    @cached_property
    def _routes(self) -> dict[str, Sign]:
        return read_routes(self._host)

    @cached_property
    def _storage(self) -> dict[str, list[Sign]]:
        return read_storage(self._host, self._mounts)

    @cached_property
    def _addresses(self) -> dict[str, Sign]:
        return read_addresses(self._host)

    @cached_property
    def _sniffed(self) -> frozenset[str]:
        return read_sniffed(self._host)

    def _netdev(self, name: str) -> NetDevice:
        path = self._path(name)
        mac = self._host.read(f"{path}/address") or ""
        return NetDevice(name, self._is_up(path), mac, tuple(use.what for use in self._uses(name)))

    def _is_up(self, path: str) -> bool:
        state = self._host.read(f"{path}/operstate")
        if state != "unknown":
            return state == "up"
        # Drivers that do not report a state, as those of many VFs.
        return bool(self._flags(path) or 0)

    def _flags(self, path: str) -> int | None:
        """1 where it was set up, 0 where not; None where that cannot be seen."""
        try:
            return int(self._host.read(f"{path}/flags") or "", 16) & _IFF_UP
        except ValueError:
            return None

    def _uses(self, name: str) -> Iterator[Sign]:
        uppers = self._uppers(name)
        for one in (name, *uppers):
            through = "" if one == name else f" through {one}"
            if one in self._routes:
                yield replace(self._routes[one], what=f"{self._routes[one].what}{through}")
                yield from (replace(sign, what=f"{sign.what}{through}") for sign in self._storage.get(one, ()))
        for upper in uppers:
            words = " ".join(filter(None, ("part of", self._kind(upper), upper)))
            yield Sign(words, f"/{self._path(name)}/{_UPPER}{upper}", upper)
        if name in self._addresses:
            yield self._addresses[name]
        yield from self._asked(name)[0]
        index = self._host.read(f"{self._path(name)}/ifindex") if self._sniffed else None
        if index in self._sniffed:
            yield Sign("a process listens on it", f"/{PACKET}", f"interface {index}")

    def _doubts(self, name: str) -> Iterator[Sign]:
        """Why an interface with which nothing is seen to be done may be in use all the same."""
        path = self._path(name)
        flags = self._flags(path)
        _, refused = self._asked(name)
        if refused:
            yield Sign(f"its addresses and routes are not to be seen: {refused}", "netlink", look=_LOOK, layer=LAYER)
        if flags == 0:
            return
        # What is pasted into a shell names nothing that a shell would read.
        dev = f" dev {name}" if _PLAIN.fullmatch(name) else ""
        look = f"`ip -d address show{dev}` and `ip route show table all{dev}`"
        what = f"{name} {'is' if flags else 'may be'} up, and not all that may use it is to be seen"
        yield Sign(what, f"/{path}/flags", self._host.read(f"{path}/flags") or "", look, LAYER)

    def _asked(self, name: str) -> tuple[tuple[Sign, ...], str]:
        """What netlink says of an interface, where it is asked: only there routes of all tables are named."""
        return self._host.probe.network(name) if self._host.probe else ((), "")

    def _uppers(self, name: str) -> list[str]:
        """Bonds, bridges, VLANs, … on top of an interface, the nearest first."""
        found: list[str] = []
        below = [name]
        while below:
            path = self._path(below.pop(0))
            for link in self._host.names(path, prefix=_UPPER) or ():
                upper = link.removeprefix(_UPPER)
                if upper not in found and upper != name:
                    found.append(upper)
                    below.append(upper)
        return found

    def _kind(self, name: str) -> str:
        """Bond, bridge, vlan as the kernel calls it; team and Open vSwitch say nothing of themselves."""
        lines = (self._host.read(f"{self._path(name)}/uevent") or "").splitlines()
        return next((line.removeprefix(_KIND) for line in lines if line.startswith(_KIND)), "")

    def _path(self, name: str) -> str:
        return self._host.leads_to(f"sys/class/{CLASS}/{name}") or ""


def _elsewhere(directory: str) -> Sign:
    what = "its interface is in another network namespace, such as that of a container"
    return Sign(what, f"/{directory}", "(empty)", "`ip -all netns exec ip link`, and `lsns -t net`", LAYER)
