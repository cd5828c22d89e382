"""Device names of sysfs as PCI addresses, each parsed once in a scan."""

from __future__ import annotations

import re

from domxml.pciaddress import PciAddress

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
