"""A unit: functions that go to one VM together, and what is to be said of them."""

from __future__ import annotations

from typing import NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.binding.state import UnitKind


class Unit(NamedTuple):
    """What one VM can be given as a whole."""

    id: str
    """The same after a reboot, and whatever else is plugged in; no other unit of the machine has it."""
    kind: UnitKind
    functions: tuple[PciAddress, ...]
    """The primary one first, the others by their places; companions of a display last."""
    groups: tuple[int, ...]
    numa_node: int | None
    """None where its functions are on none, or on several."""
    root: str
    """The host bridge of the primary one."""
    class_code: int
    vendor: int
    device: int
    driver: str | None
    """Of the primary one."""
    blockers: tuple[str, ...] = ()
    """Codes of what keeps it from a VM, or of what could not be looked at."""

    @property
    def primary(self) -> PciAddress:
        """The function for which a VM wants it."""
        return self.functions[0]

    @property
    def ready(self) -> bool:
        """Nothing stands in the way, and all that matters was seen."""
        return not self.blockers
