"""Network interfaces of PCI functions, and why the host needs them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.host import Host
from hostdev.inventory.classes import DeviceClass
from hostdev.inventory.routes import read_routes
from hostdev.machine import NetDevice

CLASS = "net"

_IFF_UP = 1
_UPPER = "upper_"
_KIND = "DEVTYPE="


class Netdevs:
    """The interfaces that hang below each PCI function."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def of(self, address: PciAddress, path: str) -> tuple[NetDevice, ...]:
        """Those of the function at a path: in its net/ if it is a network card, else over virtio or USB."""
        own = self._host.names(f"{path}/net")
        return tuple(map(self._netdev, self._class.of(address) if own is None else own))

    @cached_property
    def _class(self) -> DeviceClass:
        return DeviceClass(self._host, CLASS)

    @cached_property
    def _routes(self) -> dict[str, str]:
        return read_routes(self._host)

    def _netdev(self, name: str) -> NetDevice:
        path = self._path(name)
        mac = self._host.read(f"{path}/address") or ""
        return NetDevice(name, self._is_up(path), mac, tuple(self._uses(name)))

    def _is_up(self, path: str) -> bool:
        state = self._host.read(f"{path}/operstate")
        if state != "unknown":
            return state == "up"
        # Drivers that do not report a state, as those of many VFs.
        try:
            return bool(int(self._host.read(f"{path}/flags") or "0", 16) & _IFF_UP)
        except ValueError:
            return False

    def _uses(self, name: str) -> Iterator[str]:
        uppers = self._uppers(name)
        if name in self._routes:
            yield self._routes[name]
        for upper in uppers:
            if upper in self._routes:
                yield f"{self._routes[upper]} through {upper}"
        for upper in uppers:
            yield " ".join(filter(None, ("part of", self._kind(upper), upper)))

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
