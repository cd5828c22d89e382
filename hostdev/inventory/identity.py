"""What a function is, as its uevent says in one file."""

from __future__ import annotations

from dataclasses import dataclass

_BRIDGES = frozenset({0x0604, 0x0607})
"""PCI-to-PCI and CardBus bridges always have a bus below them."""
_BRIDGE_FAMILY = 0x06


@dataclass(frozen=True, slots=True)
class Identity:
    """Numbers of a function, and the driver that holds it."""

    vendor: int
    device: int
    class_code: int
    subsystem_vendor: int | None
    subsystem_device: int | None
    driver: str | None

    @property
    def is_bridge(self) -> bool | None:
        """Whether the class alone says that it has a bus below it; None where it does not say."""
        if self.class_code >> 8 in _BRIDGES:
            return True
        return None if self.class_code >> 16 == _BRIDGE_FAMILY else False

    @property
    def is_display(self) -> bool:
        """A graphics controller, of any kind."""
        return self.class_code >> 16 == 0x03


def identity(uevent: str) -> Identity | None:
    """Read a uevent; None if it is not one of a PCI function."""
    lines = dict(line.split("=", 1) for line in uevent.splitlines() if "=" in line)
    try:
        vendor, device = _pair(lines["PCI_ID"])
        subvendor, subdevice = _pair(lines["PCI_SUBSYS_ID"]) if "PCI_SUBSYS_ID" in lines else (None, None)
        return Identity(vendor, device, int(lines["PCI_CLASS"], 16), subvendor, subdevice, lines.get("DRIVER"))
    except (KeyError, ValueError):
        return None


def _pair(text: str) -> tuple[int, int]:
    vendor, device = text.split(":")
    return int(vendor, 16), int(device, 16)
