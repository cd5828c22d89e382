"""What hangs on functions, looked up by class: one list for the whole host instead of a search below each function."""

from __future__ import annotations

from functools import cached_property

from hostdev.host import Host
from hostdev.inventory.addresses import Addresses
from hostdev.inventory.blocks import Blocks
from hostdev.inventory.classes import DeviceClass
from hostdev.inventory.mdevs import Mdevs
from hostdev.inventory.netdevs import Netdevs


class Attached:
    """Each class is listed when the first function asks for it."""

    def __init__(self, host: Host, addresses: Addresses) -> None:
        self._host = host
        self._addresses = addresses

    @cached_property
    def vfio(self) -> DeviceClass:
        """What vfio drivers hold (from 6.1 on)."""
        return DeviceClass(self._host, "vfio-dev")

    @cached_property
    def netdevs(self) -> Netdevs:
        """Network interfaces."""
        return Netdevs(self._host)

    @cached_property
    def blocks(self) -> Blocks:
        """Disks."""
        return Blocks(self._host)

    @cached_property
    def mdevs(self) -> Mdevs:
        """Mediated devices and their types."""
        return Mdevs(self._host, self._addresses)
