"""Names of PCI vendors, devices and classes: from a pci.ids file, else from udev's database, else their numbers."""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domxml.errors import BadInput
from hostdev.inventory.machine import PciFunction
from hostdev.printing import output

USUAL_PLACES = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")

CLASSES = {
    0x00: "legacy",
    0x01: "storage",
    0x02: "network",
    0x03: "display",
    0x04: "multimedia",
    0x05: "memory",
    0x06: "bridge",
    0x07: "communication",
    0x08: "system",
    0x09: "input",
    0x0B: "processor",
    0x0C: "serial-bus",
    0x0D: "wireless",
    0x0E: "i2o",
    0x0F: "satellite",
    0x10: "crypto",
    0x11: "signal",
    0x12: "accelerator",
    0x13: "instrumentation",
    0x40: "co-processor",
    0xFF: "unassigned",
}
SUBCLASSES = {
    0x0100: "scsi",
    0x0101: "ide",
    0x0104: "raid",
    0x0105: "ata",
    0x0106: "sata",
    0x0107: "sas",
    0x0108: "nvme",
    0x0200: "ethernet",
    0x0207: "infiniband",
    0x0208: "fabric",
    0x0280: "network",
    0x0300: "vga",
    0x0302: "3d",
    0x0400: "video",
    0x0401: "audio",
    0x0403: "audio",
    0x0500: "ram",
    0x0502: "cxl-memory",
    0x0600: "host-bridge",
    0x0601: "isa-bridge",
    0x0604: "pci-bridge",
    0x0609: "pci-bridge",
    0x0700: "serial",
    0x0701: "parallel",
    0x0780: "communication",
    0x0800: "interrupt",
    0x0801: "dma",
    0x0805: "sd-host",
    0x0806: "iommu",
    0x0807: "rcec",
    0x0880: "system",
    0x0B40: "co-processor",
    0x0C03: "usb",
    0x0C04: "fibre-channel",
    0x0C05: "smbus",
    0x0C06: "infiniband",
    0x0C07: "ipmi",
    0x1000: "crypto",
    0x1101: "performance",
}
"""Class and subclass, where the class alone says too little."""


@dataclass(frozen=True, slots=True)
class Name:
    """The names of vendor and device; None where they are not known."""

    vendor: str | None = None
    device: str | None = None
    subsystem: str | None = None


Namer = Callable[[PciFunction], Name]


def namer(pci_ids: str | None = None, *, live: bool = False) -> Namer:
    """The best source of names there is; `live` when the functions are those of this running host."""
    if pci_ids is not None:
        return PciIds(_mapped(Path(pci_ids))).name
    for place in map(Path, USUAL_PLACES):
        if place.is_file():
            return PciIds(_mapped(place)).name
    return _udev_namer() if live else _nameless


def class_name(code: int) -> str:
    """A short name for a class code of 24 bits."""
    return SUBCLASSES.get(code >> 8) or CLASSES.get(code >> 16) or f"class-{code >> 8:04x}"


def ids(function: PciFunction) -> str:
    """`8086:1572`."""
    return f"{function.vendor:04x}:{function.device:04x}"


def title(function: PciFunction, name: Name) -> str:
    """One line for people: vendor and device, by number where there is no name."""
    if name.vendor is None:
        return ids(function)
    return f"{short_vendor(name.vendor)} {name.device or f'{function.device:04x}'}"


def short_vendor(vendor: str) -> str:
    """A vendor as people say it: `Intel` for `Intel Corporation`."""
    bracketed = re.search(r"\[([^]]+)\]\s*$", vendor)
    if bracketed:
        return bracketed[1].split("/")[0]
    return re.sub(r",? (Co\b|Corporation|Technologies|Semiconductor|Inc|Ltd|Limited|Corp|LLC|GmbH|AG).*$", "", vendor)


class PciIds:
    """A pci.ids text, searched where it lies: only the lines that are asked for are parsed."""

    def __init__(self, text: bytes | mmap.mmap) -> None:
        self._text = text
        self._known: dict[tuple[int, int, int | None, int | None], Name] = {}

    def name(self, function: PciFunction) -> Name:
        key = (function.vendor, function.device, function.subsystem_vendor, function.subsystem_device)
        if key not in self._known:
            self._known[key] = self._look_up(*key)
        return self._known[key]

    def _look_up(self, vendor: int, device: int, subvendor: int | None, subdevice: int | None) -> Name:
        vendor_name, start, end = self._entry(b"\n%04x  " % vendor, 0, len(self._text), _AFTER_VENDOR)
        if vendor_name is None:
            return Name()
        device_name, start, end = self._entry(b"\n\t%04x  " % device, start, end, _AFTER_DEVICE)
        if device_name is None or subvendor is None or subdevice is None:
            return Name(vendor_name, device_name)
        subsystem, *_ = self._entry(b"\n\t\t%04x %04x  " % (subvendor, subdevice), start, end, _AFTER_DEVICE)
        return Name(vendor_name, device_name, subsystem)

    def _entry(self, key: bytes, start: int, end: int, after: re.Pattern[bytes]) -> tuple[str | None, int, int]:
        """The name behind a key, and where the entries below it lie."""
        found = self._text.find(key, start, end)
        if found < 0 and not (start == 0 and self._text[: len(key) - 1] == key[1:]):
            return None, 0, 0
        line_end = self._text.find(b"\n", found + 1, end)
        line_end = end if line_end < 0 else line_end
        name = self._text[found + len(key) : line_end].decode(errors="replace").strip()
        following = after.search(self._text, line_end, end)
        return name, line_end, following.start() if following else end


_AFTER_VENDOR = re.compile(rb"\n[^\t\n#]")
_AFTER_DEVICE = re.compile(rb"\n\t?[^\t\n#]")


def _mapped(path: Path) -> bytes | mmap.mmap:
    if str(path) == output.STANDARD_INPUT:
        return output.read_input()
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput("bad-pci-ids", f"the PCI names cannot be read: {reason}", subject=str(path)) from error


def _nameless(_function: PciFunction) -> Name:
    return Name()


def _udev_namer() -> Namer:
    try:
        import pyudev  # noqa: PLC0415  part of an extra, and rarely needed
    except ImportError:
        return _nameless
    context = pyudev.Context()

    def name(function: PciFunction) -> Name:
        try:
            properties: Any = pyudev.Devices.from_name(context, "pci", str(function.address)).properties
        except pyudev.DeviceNotFoundError:
            return Name()
        return Name(properties.get("ID_VENDOR_FROM_DATABASE"), properties.get("ID_MODEL_FROM_DATABASE"))

    return name
