"""Places directly on the root bus: all there is on i440fx and s390x, and the fallback on PCI Express."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domxml.guestpci.machines import RootKind
from domxml.guestslot import GuestSlot
from domxml.pciaddress import PciAddress
from domxml.placement.room import BRIDGE, PlacedController, Room, no_room

LAST_SLOT = 0x1F


def place_on_root(room: Room, pending: Sequence[GuestSlot], *, keep_free: int) -> dict[str, PciAddress]:
    """Give each wish a slot of the root bus, leaving `keep_free` of them for what libvirt still has to place."""
    slots: dict[str, PciAddress] = {}
    for wish in pending:
        place = next(_places(room, keep_free, len(pending) - len(slots)), None)
        if place is None:
            raise no_room(f"no free slot is left for {wish.name}")
        slots[wish.name] = place
        room.settle(wish, place)
    return slots


def add_bridges(room: Room, up_to: int) -> None:
    """Make the bridges that a bus asked for needs: libvirt would number them from below, and so do we."""
    while room.max_index < up_to:
        slot = next((slot for slot in _order(room) if room.slot_is_free(0, slot)), None)
        if slot is None:
            raise no_room(f"bus 0 has no free slot for the PCI bridge that is bus {room.max_index + 1}")
        _add_bridge(room, slot, "a bus that was asked for, or below one")


def _add_bridge(room: Room, slot: int, why: str) -> int:
    index = room.max_index + 1
    room.add_controller(PlacedController(index, BRIDGE, PciAddress(0, 0, slot, 0), why))
    return index


def _places(room: Room, keep_free: int, remaining: int) -> Iterator[PciAddress]:
    free = [slot for slot in _order(room) if room.slot_is_free(0, slot)]
    conventional = room.machine.root is RootKind.PCI
    # Before bus 0 is full, its last free slot becomes a bridge.
    if len(free) - keep_free >= (remaining if conventional else 1):
        yield PciAddress(0, 0, free[0], 0)
    if not conventional:
        return
    for bus in [index for index, model in room.models.items() if model == BRIDGE]:
        yield from (PciAddress(0, bus, slot, 0) for slot in range(LAST_SLOT, 0, -1) if room.slot_is_free(bus, slot))
    if free and len(free) >= keep_free:
        yield PciAddress(0, _add_bridge(room, free[0], "bus 0 is nearly full"), LAST_SLOT, 0)


def _order(room: Room) -> Sequence[int]:
    machine = room.machine
    if machine.root is RootKind.PCI:
        # From the top: libvirt and KubeVirt fill from the bottom.
        return range(LAST_SLOT, 0, -1)
    if machine.root is RootKind.PCIE:
        return range(machine.first_own_slot, machine.last_own_slot + 1)
    return (*range(machine.first_own_slot, LAST_SLOT + 1), *range(machine.first_own_slot - 1, 7, -1))
