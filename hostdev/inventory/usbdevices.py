"""What is plugged into USB controllers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Sign
from hostdev.inventory.sysfs import DeviceClass

LAYER = "usb"
DEVICES = "sys/bus/usb/devices"
_PLUGGED = re.compile(r"[0-9]+-[0-9.]+", re.ASCII)
"""Not usb1, a root hub, and not 1-1:1.0, an interface."""
_ROOT_HUB = "usb"
_HUB = "09"
MANAGEMENT: Mapping[str, str] = MappingProxyType(
    {
        "046b": "American Megatrends",
        "0557": "ATEN",
        "0624": "Avocent",
        "0b1f": "Insyde",
    }
)
"""Vendors whose devices in a server are those of its management controller."""


class UsbDevices:
    """Devices by the controller that they hang below."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def doubts(self, address: PciAddress) -> Iterator[Sign]:
        """Devices, each of which may be needed: a keyboard, a modem, a licence key."""
        if self._host.names(DEVICES) is None:
            yield Sign("what is plugged into it is not to be seen", f"/{DEVICES}", layer=LAYER)
        below = self._class.beneath(address)
        if not any(name.startswith(_ROOT_HUB) for name in below):
            # Each controller that a driver has makes one.
            yield Sign("no root hub of it is to be seen", f"/{DEVICES}", look="`lsusb -t`", layer=LAYER)
        for name in filter(_PLUGGED.fullmatch, below):
            path = self._class.path(name)
            if self._host.read(f"{path}/bDeviceClass") == _HUB:
                continue
            vendor = self._host.read(f"{path}/idVendor") or "?"
            ids = f"{vendor}:{self._host.read(f'{path}/idProduct') or '?'}"
            whose = "a management controller's USB device" if vendor in MANAGEMENT else "the USB device"
            yield Sign(f"{whose} {name} ({ids}) hangs on it", f"/{path}/idVendor", ids, "`lsusb -t`", LAYER)

    @cached_property
    def _class(self) -> DeviceClass:
        return DeviceClass(self._host, "usb", directory=DEVICES)
