"""Evidence as sysfs spells it: paths of attributes, and what stands there."""

from __future__ import annotations

from domxml.finding import Evidence
from domxml.pciaddress import PciAddress
from hostdev.machine import PciFunction

DEVICES = "/sys/bus/pci/devices"
GROUPS = "/sys/kernel/iommu_groups"
ABSENT = "(absent)"


def path(address: PciAddress, attribute: str) -> str:
    """Where an attribute of a function stands."""
    return f"{DEVICES}/{address}/{attribute}"


def attribute(address: PciAddress, name: str, content: object) -> Evidence:
    """What an attribute of a function says; None if there is none."""
    return Evidence(path(address, name), ABSENT if content is None else str(content))


def driver(function: PciFunction) -> Evidence:
    """Which driver holds a function."""
    return attribute(function.address, "driver", function.driver)


def link(function: PciFunction) -> Evidence:
    """Which IOMMU group a function is in."""
    return attribute(function.address, "iommu_group", function.group)


def in_group(number: int, name: str, content: str) -> Evidence:
    """What an attribute of an IOMMU group says."""
    return Evidence(f"{GROUPS}/{number}/{name}", content)
