"""Sysfs as the kernel writes it: numbers, links to functions, the devices of a class."""

from __future__ import annotations

import re
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host

_FUNCTION = re.compile(r"/([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?=/|$)", re.ASCII)


class DeviceClass:
    """One listing and one link for each device: that is all, until a device is asked for."""

    def __init__(self, host: Host, name: str, *, directory: str = "", holding: str = "") -> None:
        self._host = host
        self._directory = directory or f"sys/class/{name}"
        found = host.links(self._directory, holding)
        self.links = found or {}
        self.listed = found is not None
        """Whether it could be listed at all."""

    def of(self, address: PciAddress) -> list[str]:
        """The devices below a function, over virtio, ATA or USB too; none of another function below it."""
        return self.owned.get(str(address), [])

    def beneath(self, address: PciAddress) -> list[str]:
        """The devices below a function, and those of other functions below it, as VMD has them."""
        return self.carried.get(str(address), [])

    def path(self, device: str) -> str:
        """Where a device stands in the device tree."""
        return self._host.leads_to(f"{self._directory}/{device}") or f"{self._directory}/{device}"

    @cached_property
    def owned(self) -> dict[str, list[str]]:
        """Devices by the name of their function."""
        found: dict[str, list[str]] = {}
        for device, functions in self._functions.items():
            if functions:
                found.setdefault(functions[-1], []).append(device)
        return found

    @cached_property
    def carried(self) -> dict[str, list[str]]:
        """Devices by the name of each function above them."""
        found: dict[str, list[str]] = {}
        for device, functions in self._functions.items():
            for function in functions:
                found.setdefault(function, []).append(device)
        return found

    @cached_property
    def _functions(self) -> dict[str, list[str]]:
        return {device: _FUNCTION.findall(link) for device, link in self.links.items()}


_MAX_DIGITS = 20


def number(text: str | None) -> int | None:
    """A count or an index; None for anything else, as for the -1 of an unknown node."""
    return int(text) if text and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def hexadecimal(text: str | None) -> int | None:
    """A number as registers are written, with or without 0x; None for anything else."""
    try:
        return int(text or "", 16)
    except ValueError:
        return None


def flag(text: str | None) -> bool | None:
    """0 or 1; None for anything else."""
    return {"0": False, "1": True}.get(text or "")


_NAME = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])", re.ASCII)


class Addresses:
    """Remembers which names are PCI functions."""

    def __init__(self) -> None:
        self._known: dict[str, PciAddress | None] = {}

    def of(self, name: str) -> PciAddress | None:
        """The address that a name is, None for anything else."""
        if name in self._known:
            return self._known[name]
        match = _NAME.fullmatch(name)
        address = None
        if match:
            domain, bus, slot, function = match.groups()
            address = PciAddress(int(domain, 16), int(bus, 16), int(slot, 16), int(function))
        self._known[name] = address
        return address

    def last_in(self, path: str) -> PciAddress | None:
        """The function that a device path ends at or hangs below."""
        return next(filter(None, map(self.of, reversed(path.split("/")))), None)
