"""Mediated devices: what each function could create, and what there is."""

from __future__ import annotations

from domxml.pciaddress import PciAddress
from hostdev.host import Host
from hostdev.inventory.addresses import Addresses
from hostdev.inventory.classes import DeviceClass
from hostdev.inventory.numbers import number
from hostdev.machine import Mdev, MdevType

DEVICES = "sys/bus/mdev/devices"
TYPES = "mdev_supported_types"


class Mdevs:
    """Types and devices by parent function."""

    def __init__(self, host: Host, addresses: Addresses) -> None:
        self._host = host
        self._parents = DeviceClass(host, "mdev_bus")
        self._devices: dict[PciAddress, list[Mdev]] = {}
        # Parents that are no PCI functions (s390 channels, crypto adapters) are not ours to give away.
        for uuid in host.names(DEVICES) or () if self._parents.owned else ():
            mdev = _mdev(host, addresses, uuid)
            if mdev is not None:
                self._devices.setdefault(mdev.parent, []).append(mdev)

    def types(self, address: PciAddress) -> tuple[MdevType, ...]:
        """What one function could create."""
        parents = self._parents.of(address)
        return tuple(_types(self._host, f"{self._parents.path(parents[0])}/{TYPES}")) if parents else ()

    def devices(self, address: PciAddress) -> tuple[Mdev, ...]:
        """What there is of one function."""
        return tuple(self._devices.get(address, ()))


def _types(host: Host, directory: str) -> list[MdevType]:
    return [
        MdevType(
            name,
            host.read(f"{directory}/{name}/name") or "",
            number(host.read(f"{directory}/{name}/available_instances")) or 0,
            host.read(f"{directory}/{name}/device_api") or "",
        )
        for name in host.names(directory) or ()
    ]


def _mdev(host: Host, addresses: Addresses, uuid: str) -> Mdev | None:
    path = host.leads_to(f"{DEVICES}/{uuid}")
    parent = addresses.last_in(path) if path else None
    if path is None or parent is None:
        return None
    group = number(host.link_name(f"{path}/iommu_group"))
    return Mdev(uuid, host.link_name(f"{path}/mdev_type") or "", parent, group)
