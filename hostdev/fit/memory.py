"""Where QEMU puts a guest's memory, and what it refuses to start with."""

from __future__ import annotations

from typing import NamedTuple

from domxml.guestpci.machines import I440FX, VIRT
from hostdev.fit.guest import Guest
from hostdev.fit.pcitree import GIB, MIB, TIB, round_up
from hostdev.fit.processor import Processor

HYPERTRANSPORT = (0xFD00000000, 0x10000000000)
"""What AMD keeps below 1 TiB for itself: nothing that a device reaches may lie there."""
_HYPERTRANSPORT_BITS = 40
_ARM_RAM = GIB
_ARM_RAM_FIRST = 256 * GIB
"""Arm's machine puts nothing else below that."""
_ARM_REDISTRIBUTORS, _ARM_CONFIG = 64 * MIB, 256 * MIB
ARM_WINDOW = 512 * GIB


class MemoryMap(NamedTuple):
    """The guest's physical addresses as far as memory has them."""

    low: int
    """RAM below 4 GiB."""
    above: int
    """RAM above 4 GiB, which may start higher."""
    above_start: int
    hotplug_end: int
    """The end of what is kept for memory that is added later; 0 where none is."""
    reserves_hypertransport: bool
    highest: int
    """The last address that QEMU wants to be there, its own window for PCI included."""

    @property
    def above_end(self) -> int:
        """The end of RAM above 4 GiB; 4 GiB where there is none."""
        return self.above_start + self.above if self.above else 4 * GIB

    @property
    def end(self) -> int:
        """The end of all, what may be added included."""
        return max(self.above_end, self.hotplug_end)

    def starts(self, bits: int) -> bool:
        """Whether QEMU starts with so many physical bits."""
        return self.highest < 1 << bits


def memory_map(guest: Guest, processor: Processor) -> MemoryMap:
    """Lay out the memory of a PC."""
    low = _low_memory(guest)
    above = max(guest.ram - low, 0)
    guards = processor.is_amd and not guest.is_old
    map_ = _layout(guest, low, above, 4 * GIB)
    if guards and map_.highest >= HYPERTRANSPORT[0]:
        map_ = _layout(guest, low, above, TIB)
    return map_._replace(reserves_hypertransport=guards and processor.bits >= _HYPERTRANSPORT_BITS)


def _layout(guest: Guest, low: int, above: int, start: int) -> MemoryMap:
    end = start + above
    hotplug_end = 0
    if guest.most_ram > guest.ram:
        end = round_up(end, GIB) + guest.most_ram - guest.ram + guest.slots * GIB
        hotplug_end = round_up(end, GIB)
    highest = round_up(end, GIB) + guest.hole64 - 1
    return MemoryMap(low, above, start, hotplug_end, reserves_hypertransport=False, highest=highest)


def _low_memory(guest: Guest) -> int:
    if guest.machine is I440FX:
        limit = 3 * GIB if guest.ram >= 0xE0000000 else 0xE0000000
    else:
        limit = 2 * GIB if guest.ram >= 0xB0000000 else 0xB0000000
    return min(guest.ram, limit)


def arm_window(guest: Guest, bits: int) -> tuple[int, int] | None:
    """Find the window above RAM of Arm's machine, base and size; None where it has none."""
    size = ARM_WINDOW if guest.high_window is None else guest.high_window
    if guest.machine is not VIRT or not size:
        return None
    end = round_up(_ARM_RAM + guest.ram, GIB)
    end = round_up(end + guest.most_ram - guest.ram + guest.slots * GIB, GIB)
    end = max(end, _ARM_RAM_FIRST)
    for smaller in (_ARM_REDISTRIBUTORS, _ARM_CONFIG):
        end = round_up(end, smaller) + smaller
    base = round_up(end, size)
    return (base, size) if base + size <= 1 << bits else None
