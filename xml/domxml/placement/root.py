"""Places directly on the root bus: all there is on i440fx and s390x, and the fallback on PCI Express."""

from __future__ import annotations

from collections.abc import Sequence

from domxml.guestpci.machines import RootKind
from domxml.pciaddress import PciAddress
from domxml.placement.room import Room, no_room
from domxml.placement.values import PlacedController
from domxml.wish import Wish

LAST_SLOT = 0x1F


def place_on_root(room: Room, pending: Sequence[Wish], *, keep_free: int) -> dict[str, PciAddress]:
    """Give each wish a slot of the root bus, leaving `keep_free` low ones for what libvirt still has to place."""
    slots: dict[str, PciAddress] = {}
    order = _order(room)
    free = [slot for slot in order if room.slot_is_free(0, slot)]
    bridge: int | None = None
    for position, wish in enumerate(pending):
        remaining = len(pending) - position
        # The last slot that may be taken becomes a bridge when more devices than slots are left.
        fits = len(free) - keep_free >= remaining
        if bridge is None and (fits or room.machine.root is not RootKind.PCI):
            if len(free) <= keep_free:
                raise no_room(f"bus 0 has no free slot for {wish.name}")
            slots[wish.name] = PciAddress(0, 0, free.pop(0), 0)
            room.settle(wish, slots[wish.name])
            continue
        if bridge is None:
            bridge = _add_bridge(room, free, keep_free)
        slots[wish.name] = _on_bridge(room, bridge, wish)
    return slots


def _order(room: Room) -> Sequence[int]:
    machine = room.machine
    if machine.root is RootKind.PCI:
        # From the top: libvirt and KubeVirt fill from the bottom.
        return range(LAST_SLOT, 0, -1)
    if machine.root is RootKind.PCIE:
        return range(machine.first_own_slot, machine.last_own_slot + 1)
    return (*range(machine.first_own_slot, LAST_SLOT + 1), *range(machine.first_own_slot - 1, 7, -1))


def _add_bridge(room: Room, free: list[int], keep_free: int) -> int:
    if len(free) <= keep_free:
        raise no_room("bus 0 has no free slot for a PCI bridge")
    index = room.max_index + 1
    address = PciAddress(0, 0, free.pop(0), 0)
    room.add_controller(PlacedController(index, "pci-bridge", address, "bus 0 has too few free slots"))
    return index


def _on_bridge(room: Room, bridge: int, wish: Wish) -> PciAddress:
    for slot in range(1, LAST_SLOT + 1):
        if room.slot_is_free(bridge, slot):
            address = PciAddress(0, bridge, slot, 0)
            room.settle(wish, address)
            return address
    raise no_room(f"the PCI bridge {bridge} has no free slot for {wish.name}")
