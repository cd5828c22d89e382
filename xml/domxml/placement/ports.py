"""Root ports of our own on a PCI Express guest: above everything libvirt fills by itself, each at an explicit slot.

Some are marked for later passes: KubeVirt's structs forget where devices are, and a port's alias is one of the few
things that they keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from domxml.alias import PREFIX, is_legal
from domxml.document import Element
from domxml.guestpci.connect import NONE, Step
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestSlot
from domxml.pciaddress import PciAddress
from domxml.placement.room import PORT, Room, no_room
from domxml.placement.values import Pin, PlacedController

VACANCY = f"{PREFIX}vacancy-"
"""A device has left it, and the next one without an address would fall into it."""
SEAT = f"{PREFIX}seat-"
"""A device of the VM sits there, because one of ours was asked onto its place."""


def place_on_ports(room: Room, pending: Sequence[GuestSlot], asked_buses: frozenset[int]) -> dict[str, PciAddress]:
    """Give each wish a port of its own, and make the ports that asked-for buses need; answer slots by wish name."""
    start = room.max_index + 1
    wanted: dict[int, str] = {bus: "a bus that was asked for" for bus in asked_buses if bus not in room.models}
    slots: dict[str, PciAddress] = {}
    index = start
    for wish in pending:
        while index in wanted:
            index += 1
        wanted[index] = f"for {wish.name}"
        slots[wish.name] = PciAddress(0, index, 0, 0)
    last = max(wanted, default=start - 1)
    places = _places(room)
    for number in range(start, last + 1):
        address = next(places, None)
        if address is None:
            raise no_room(f"{last - start + 1} more root ports are needed, and there is room for {number - start}")
        why = wanted.get(number, f"keeps libvirt from filling the gap below bus {last} by itself")
        # Function 0 announces that more may follow: a guest looks no further otherwise.
        port = PlacedController(number, PORT, address, why, multifunction=address.function == 0)
        room.add_controller(port)
    return slots


def add_seats(room: Room, names: Sequence[str]) -> list[int]:
    """A port of its own for each device of the VM that makes room for one of ours; answer their buses."""
    added = []
    places = _places(room)
    for name in names:
        address = next(places, None)
        if address is None:
            raise no_room(f"{name} would have to make room, and there is none for it elsewhere")
        index = room.max_index + 1
        port = PlacedController(index, PORT, address, f"for {name}, which makes room")
        room.add_controller(port._replace(multifunction=address.function == 0, alias=f"{SEAT}{index}"))
        added.append(index)
    return added


def pin_later_ports(topology: Topology, buses: frozenset[int]) -> tuple[Pin, ...]:
    """Put root ports above ours that came after them without an address, as KubeVirt's spare ones do.

    libvirt would put them below ours, and a guest numbers buses by slot: its numbers would no longer be ours.
    """
    ports = {c.index: c.address for c in topology.controllers if c.model == PORT and c.address and not c.address.bus}
    ours = {bus for bus in buses & ports.keys() if ports[bus].slot >= topology.machine.first_own_slot}
    if not ours:
        return ()
    last, highest = max(ours), max(ports.values())
    later = [c for c in topology.controllers if c.model == PORT and c.address is None and c.index > last]
    if not later:
        return ()
    places = (address for address in _places(Room(topology, None)) if address > highest)
    # Where there is no room above, libvirt places the rest.
    return tuple(Pin(*pair) for pair in zip(sorted(later, key=lambda port: port.index), places, strict=False))


def _places(room: Room) -> Iterator[PciAddress]:
    machine = room.machine
    ports = {address for index, address in room.below.items() if room.models[index] == PORT and address.bus == 0}
    in_range = [address for address in ports if machine.first_own_slot <= address.slot <= machine.last_own_slot]
    highest = max(in_range, default=PciAddress(0, 0, machine.first_own_slot, -1))
    # A guest numbers buses by slot and function: going up keeps its order the order of our indexes.
    for slot in range(highest.slot, machine.last_own_slot + 1):
        continues = slot == highest.slot and PciAddress(0, 0, slot, 0) in ports
        if continues or room.slot_is_free(0, slot):
            yield from (PciAddress(0, 0, slot, function) for function in range(8) if (slot, function) > _pair(highest))
    lowest = max((a.slot for a in room.owners if a.bus == 0 and a.slot < machine.first_own_slot), default=0) + 2
    for slot in range(lowest, machine.first_own_slot):
        if room.slot_is_free(0, slot):
            yield from (PciAddress(0, 0, slot, function) for function in range(8))


def _pair(address: PciAddress) -> tuple[int, int]:
    return address.slot, address.function


def find_seats(topology: Topology) -> list[int]:
    """The buses where devices of the VM sat that have no address on this pass."""
    return [port.index for port in _marked(topology, SEAT)]


def keep_vacancies(topology: Topology) -> bool:
    """Take the places that an earlier pass has marked, as what left them would; tell whether there are any."""
    kept = _marked(topology, VACANCY)
    for port in kept:
        device = Device(None, {}, NONE, Step.PSTORE)
        device.kind = f"place on bus {port.index}"
        device.address = PciAddress(0, port.index, 0, 0)
        topology.devices.append(device)
    return bool(kept)


def vacant_ports(room: Room, topology: Topology, left: Iterable[PciAddress]) -> Iterator[tuple[int, Element | None]]:
    """Ports behind which nothing is left, by bus: their elements, or None for those that are still to be written."""
    written = {port.index: port for port in topology.controllers}
    for address in sorted(set(left)):
        bus = address.bus
        emptied = not any((0, bus, address.slot, function) in room.owners for function in range(8))
        if emptied and bus in room.models and room.models[bus].endswith("-port"):
            port = written.get(bus)
            if port is None or port.element is None:
                yield bus, None
            elif not _has_alias(port):
                yield bus, port.element


def _marked(topology: Topology, mark: str) -> list[Device]:
    """Ports with that mark, as long as nothing is behind them."""
    used = {device.address.bus for device in topology if device.address is not None}
    return [c for c in topology.controllers if _alias(c) == f"{mark}{c.index}" and c.index not in used]


def _has_alias(port: Device) -> bool:
    return is_legal(_alias(port))


def _alias(port: Device) -> str:
    alias = port.kids.get("alias")
    return "" if alias is None else alias.get("name", "")
