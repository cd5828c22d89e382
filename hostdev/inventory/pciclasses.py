"""PCI class codes that matter for giving a device away."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DISPLAY = 0x03
"""Base class of VGA, XGA, 3D and other display controllers."""

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
