"""A rule: one question to the machine, what it finds wrong, and the evidence as sysfs spells it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import IommuGroup, Machine, PciFunction

T = TypeVar("T")

HOST = "host"
"""The subject of findings that are about the machine as a whole."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """A question about a T."""

    name: str
    title: str
    find: Callable[[T], Iterable[Finding]]
    seen: Callable[[T], str | None]
    """What stands there when nothing was found; None where the question does not arise."""


@dataclass(frozen=True, slots=True)
class View:
    """One function of a machine, among those that the same VM wants."""

    machine: Machine
    function: PciFunction
    wanted: frozenset[PciAddress]
    despite: frozenset[str] = frozenset()
    """Codes of what is known and accepted of the wanted ones."""

    @property
    def address(self) -> PciAddress:
        """The function's address."""
        return self.function.address

    @property
    def subject(self) -> str:
        """The subject of findings about the function."""
        return str(self.function.address)

    @property
    def group(self) -> IommuGroup | None:
        """The function's IOMMU group, as far as it is known."""
        return self.machine.group_of(self.function.address)


DEVICES = "/sys/bus/pci/devices"
GROUPS = "/sys/kernel/iommu_groups"
ABSENT = "(absent)"


def attribute_path(address: PciAddress, attribute: str) -> str:
    """Where an attribute of a function stands."""
    return f"{DEVICES}/{address}/{attribute}"


def attribute_evidence(address: PciAddress, name: str, content: object) -> Evidence:
    """What an attribute of a function says; None if there is none."""
    return Evidence(attribute_path(address, name), ABSENT if content is None else str(content))


def driver_evidence(function: PciFunction) -> Evidence:
    """Which driver holds a function."""
    return attribute_evidence(function.address, "driver", function.driver)


def group_link_evidence(function: PciFunction) -> Evidence:
    """Which IOMMU group a function is in."""
    return attribute_evidence(function.address, "iommu_group", function.group)


def group_evidence(number: int, name: str, content: str) -> Evidence:
    """What an attribute of an IOMMU group says."""
    return Evidence(f"{GROUPS}/{number}/{name}", content)
