"""PCI class codes that matter for giving a device away."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DISPLAY = 0x03
"""Base class of VGA, XGA, 3D and other display controllers."""

PLATFORM: Mapping[int, str] = MappingProxyType(
    {
        0x0500: "RAM controller",
        0x0501: "flash controller",
        0x0580: "memory controller",
        0x0600: "host bridge",
        0x0601: "ISA bridge",
        0x0800: "interrupt controller",
        0x0801: "DMA controller",
        0x0802: "timer",
        0x0803: "clock",
        0x0806: "IOMMU",
        0x0C05: "SMBus controller",
    }
)
"""Parts of the board that a host cannot do without, by class and subclass."""

COMPANIONS: Mapping[int, str] = MappingProxyType(
    {
        0x0401: "audio",
        0x0403: "audio",
        0x0C03: "USB",
        0x0C80: "UCSI",
    }
)
"""What a graphics card brings along in its slot, by class and subclass."""


def base(class_code: int) -> int:
    """The class without subclass and programming interface."""
    return class_code >> 16


def subclass(class_code: int) -> int:
    """Class and subclass without the programming interface."""
    return class_code >> 8
