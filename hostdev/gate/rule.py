"""A rule: one question to the machine, what it finds wrong, and what it saw when nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.machine import IommuGroup, Machine, PciFunction

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
