"""What kinds of devices and their makers are called: as they are shown, as people say, and by their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from hostdev.inventory import pciids
from hostdev.inventory.machine import PciFunction


class Kind(NamedTuple):
    """Words for devices of some classes; of one vendor, where one is named."""

    words: tuple[str, ...]
    classes: tuple[str, ...]
    """Beginnings of class codes: `03`, or `0302`."""
    vendor: int | None = None


_INTEL, _NVIDIA = 0x8086, 0x10DE

KINDS = (
    Kind(("gpu", "graphics", "display"), ("03",)),
    Kind(("vga",), ("0300",)),
    Kind(("3d",), ("0302",)),
    Kind(("nic", "network", "net"), ("02",)),
    Kind(("ethernet", "eth"), ("0200",)),
    Kind(("infiniband", "ib", "hca"), ("0207", "0c06")),
    Kind(("wifi", "wlan", "wireless"), ("0280", "0d")),
    Kind(("storage", "disk"), ("01",)),
    Kind(("nvme", "ssd"), ("0108",)),
    Kind(("hba",), ("0100", "0104", "0107", "0c04")),
    Kind(("fibre-channel", "fc"), ("0c04",)),
    Kind(("crypto", "co-processor", "coprocessor"), ("10", "0b40")),
    Kind(("qat",), ("0b40",), _INTEL),
    Kind(("accelerator", "fpga", "npu"), ("12",)),
    Kind(("nvswitch",), ("0680",), _NVIDIA),
    Kind(("usb", "xhci"), ("0c03",)),
    Kind(("audio", "sound"), ("0401", "0403")),
    Kind(("multimedia", "media"), ("04",)),
    Kind(("serial",), ("0700",)),
)
"""Beside these, every word of the column CLASS is one, and the names of base classes."""

VENDORS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        0x1000: ("broadcom", "lsi"),
        0x1002: ("amd", "ati"),
        0x1022: ("amd",),
        0x102B: ("matrox",),
        0x1077: ("qlogic", "marvell"),
        0x10DE: ("nvidia",),
        0x10DF: ("emulex", "broadcom"),
        0x10EC: ("realtek",),
        0x10EE: ("xilinx", "amd"),
        0x1137: ("cisco",),
        0x1179: ("toshiba", "kioxia"),
        0x11AB: ("marvell",),
        0x1344: ("micron",),
        0x1414: ("microsoft",),
        0x1425: ("chelsio",),
        0x144D: ("samsung",),
        0x14E4: ("broadcom",),
        0x15B3: ("mellanox", "nvidia"),
        0x15B7: ("sandisk", "wd"),
        0x177D: ("cavium", "marvell"),
        0x1912: ("renesas",),
        0x1924: ("solarflare",),
        0x19E5: ("huawei",),
        0x1A03: ("aspeed",),
        0x1AE0: ("google",),
        0x1AF4: ("virtio", "redhat"),
        0x1B21: ("asmedia",),
        0x1B36: ("redhat", "qemu"),
        0x1C5C: ("hynix",),
        0x1D0F: ("amazon",),
        0x1DA3: ("habana", "intel"),
        0x1E0F: ("kioxia",),
        0x8086: ("intel",),
    }
)
"""Makers of what is passed through, for hosts without a list of PCI names."""


def vendor_words(vendor: int, name: str | None) -> frozenset[str]:
    """Every word that means a maker: its number, what people say, and its name in the list of PCI names."""
    names = (name.lower(), pciids.short_vendor(name).lower()) if name else ()
    return frozenset([f"{vendor:04x}", *VENDORS.get(vendor, ()), *names])


def class_words(function: PciFunction) -> frozenset[str]:
    """Every word that means devices of its class."""
    return _words(function.class_code, function.vendor)


def class_codes(function: PciFunction) -> frozenset[str]:
    """Its class code and the beginnings of it: `02`, `0200`, `020000`."""
    code = f"{function.class_code:06x}"
    return frozenset(f"{prefix}{code[:digits]}" for digits in (2, 4, 6) for prefix in ("", "0x"))


@cache
def _words(class_code: int, vendor: int) -> frozenset[str]:
    code = f"{class_code:06x}"
    named = {pciids.class_name(class_code), pciids.CLASSES.get(class_code >> 16, "")} - {""}
    kinds = (kind for kind in KINDS if kind.vendor in {None, vendor} and code.startswith(kind.classes))
    return frozenset(named).union(*(kind.words for kind in kinds))


def known_words() -> tuple[str, ...]:
    """All words for classes, those that people say first."""
    said = (word for kind in KINDS for word in kind.words)
    return tuple(dict.fromkeys([*said, *pciids.SUBCLASSES.values(), *pciids.CLASSES.values()]))
