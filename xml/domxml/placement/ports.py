"""Buses of our own: root ports above all that libvirt fills by itself, and expander buses that tie devices to a node.

Some ports are marked for later passes: KubeVirt's structs forget where devices are, and a port's alias is one of the
few things that they keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from domxml.alias import is_legal
from domxml.document import Domain, Element
from domxml.errors import Refused
from domxml.finding import Finding
from domxml.guestfindings import GUEST_BUS_LOWER, NUMA_NOT_POSSIBLE
from domxml.guestpci.connect import NONE, Step
from domxml.guestpci.prediction import Prediction
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestSlot
from domxml.pciaddress import PciAddress, read_number
from domxml.placement.room import LIBVIRTS, PORT, Pin, PlacedController, Room, no_room

VACANCY = "ua-passgate_vacancy-"
"""A device has left it, and the next one without an address would fall into it. No device's name makes this alias."""
SEAT = "ua-passgate_seat-"
"""A device of the VM sits there, because one of ours was asked onto its place."""


OWN, FROZEN = "ua-passgate_port-", "ua-passgate_frozen-"
"""Controllers that are there because of us: those that ours sit on, and those that libvirt would add itself."""


def mark_controller(controller: PlacedController) -> PlacedController:
    """Give a new controller the alias by which a removal knows it."""
    if controller.restores or controller.alias:
        return controller
    return controller._replace(alias=f"{FROZEN if controller.is_libvirts else OWN}{controller.number}")


def frozen_controllers(prediction: Prediction) -> Iterator[PlacedController]:
    """Every controller that libvirt would add, where it would: written down, ours push none of them aside."""
    slots = [port.address.slot_address for port in prediction.ports if port.address]
    for port in prediction.added:
        if port.address is not None:
            shared = port.address.function == 0 and slots.count(port.address) > 1
            yield PlacedController(port.index, port.model.name, port.address, LIBVIRTS, multifunction=shared)


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
            raise _no_ports(last, start, number, asked_buses)
        why = wanted.get(number, f"keeps libvirt from filling the gap below bus {last} by itself")
        # Function 0 announces that more may follow: a guest looks no further otherwise.
        port = PlacedController(number, PORT, address, why, multifunction=address.function == 0)
        room.add_controller(port)
    return slots


def _no_ports(last: int, start: int, number: int, asked_buses: frozenset[int]) -> Refused:
    what = f"{last - start + 1} more root ports are needed, and there is room for {number - start}"
    far = max(asked_buses, default=0)
    if far < number:
        return no_room(what)
    return no_room(
        f"for guest bus {far:#04x} {what}", f"ask for a lower bus: {number - 1:02x} is the highest there is room for"
    )


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


EXPANDER = "pcie-expander-bus"
TOP = 256
PORTS = 32
"""The slots of an expander bus."""
RESERVE = 8
"""Bus numbers kept free below an expander's for what is plugged in later."""


def guest_nodes(domain: Domain) -> frozenset[int]:
    cells = domain.root.findall("cpu/numa/cell")
    numbers = (read_number(cell.get("id", str(position))) for position, cell in enumerate(cells))
    return frozenset(number for number in numbers if number is not None)


def place_on_expanders(
    room: Room, topology: Topology, pending: Sequence[GuestSlot]
) -> tuple[dict[str, PciAddress], list[Finding]]:
    """Put each wish with a node below an expander of that node; what cannot be is told, and placed normally."""
    if not pending:
        return {}, []
    nodes = guest_nodes(topology.domain)
    findings: list[Finding] = []
    slots: dict[str, PciAddress] = {}
    lowest = _lowest_bus_number(topology)
    for node in sorted({wish.node for wish in pending if wish.node is not None}):
        on_node = [wish for wish in pending if wish.node == node]
        for start in range(0, len(on_node), PORTS):
            wishes = on_node[start : start + PORTS]
            bus_number = lowest - (len(wishes) + 1)
            reason = _why_not(room, node, nodes) or _no_room(room, bus_number, len(wishes))
            if reason:
                findings += [NUMA_NOT_POSSIBLE.found(wish.name, reason) for wish in wishes]
                continue
            slots.update(_add(room, node, bus_number, wishes))
            lowest = bus_number
    return slots, findings


def _no_room(room: Room, bus_number: int, ports: int) -> str:
    if bus_number <= room.max_index + 1 + ports + RESERVE:
        return f"no PCI bus number is left for {ports} ports below another expander bus"
    return "" if _free_slot(room) is not None else "no slot of bus 0 is left for an expander bus"


def _free_slot(room: Room) -> int | None:
    return next((slot for slot in room.machine.expander_slots if room.slot_is_free(0, slot)), None)


def _why_not(room: Room, node: int, nodes: frozenset[int]) -> str:
    if room.machine.expander != EXPANDER:
        return f"a {room.machine.name} machine has no PCI Express expander buses"
    if node not in nodes:
        there = ", ".join(map(str, sorted(nodes))) or "none"
        return f"the guest has no NUMA node {node} (it has: {there})"
    return ""


def _add(room: Room, node: int, bus_number: int, wishes: Sequence[GuestSlot]) -> dict[str, PciAddress]:
    expander, place = room.max_index + 1, _free_slot(room) or 0
    room.add_controller(
        PlacedController(
            expander,
            EXPANDER,
            PciAddress(0, 0, place, 0),
            f"ties its devices to guest NUMA node {node}",
            bus_number=bus_number,
            node=node,
        )
    )
    slots = {}
    for position, wish in enumerate(wishes):
        index = expander + 1 + position
        room.add_controller(PlacedController(index, PORT, PciAddress(0, expander, position, 0), f"for {wish.name}"))
        slots[wish.name] = PciAddress(0, index, 0, 0)
        room.settle(wish, slots[wish.name])
    return slots


def node_of(domain: Domain, address: PciAddress | None) -> int | None:
    """The guest NUMA node that a place is tied to."""
    topology = Topology(domain)
    bus, seen = 0 if address is None else address.bus, {0}
    while bus not in seen and (controller := topology.controller(bus)) is not None:
        if controller.model == EXPANDER:
            return _node(controller)
        seen.add(bus)
        bus = _bus(controller)
    return None


def lower_buses(topology: Topology, added: Sequence[PlacedController], buses: Mapping[str, int]) -> list[Finding]:
    """Tell who is on a bus that the guest counts lower than libvirt, because expander buses come before it."""
    parents = {c.index: (c.model, _bus(c)) for c in topology.controllers}
    parents |= {c.number: (c.model, c.address.bus) for c in added}
    expanders = [index for index, (model, _) in parents.items() if model == EXPANDER]
    return [
        GUEST_BUS_LOWER.found(name, f"the guest does not count expander bus {min(expanders)} before its bus {bus}")
        for name, bus in buses.items()
        if expanders and bus > min(expanders) and not _below_expander(bus, parents)
    ]


def _below_expander(bus: int, parents: Mapping[int, tuple[str, int]]) -> bool:
    seen: set[int] = set()
    while bus in parents and bus not in seen:
        seen.add(bus)
        model, bus = parents[bus]
        if model == EXPANDER:
            return True
    return False


def restore_expanders(topology: Topology, nodes: dict[int, int]) -> list[PlacedController]:
    """Expanders of ours that lost bus number or node on the way; `nodes` maps a device's bus to the node it is on."""
    lost: list[PlacedController] = []
    lowest = _lowest_bus_number(topology)
    owners = _expanders_above(topology, nodes)
    for expander, address in sorted(owners, key=lambda pair: pair[0].index):
        number = _bus_number(expander)
        if number is not None and _node(expander) is not None:
            continue
        if number is None:
            number = lowest - (sum(1 for c in topology.controllers if _bus(c) == expander.index) + 1)
            lowest = number
        lost.append(
            PlacedController(
                expander.index,
                EXPANDER,
                address,
                "its bus number and NUMA node were lost between two passes",
                bus_number=number,
                node=owners[expander, address],
                restores=True,
            )
        )
    return lost


def _expanders_above(topology: Topology, nodes: dict[int, int]) -> dict[tuple[Device, PciAddress], int]:
    found: dict[tuple[Device, PciAddress], int] = {}
    for bus, node in nodes.items():
        port = topology.controller(bus)
        expander = None if port is None or port.address is None else topology.controller(port.address.bus)
        if expander is not None and expander.model == EXPANDER and expander.address is not None:
            found[expander, expander.address] = node
    return found


def _bus(controller: Device) -> int:
    return -1 if controller.address is None else controller.address.bus


def _lowest_bus_number(topology: Topology) -> int:
    numbers = [_bus_number(controller) for controller in topology.controllers if controller.model == EXPANDER]
    return min((number for number in numbers if number is not None), default=TOP)


def _bus_number(controller: Device) -> int | None:
    target = controller.kids.get("target")
    return None if target is None else read_number(target.get("busNr"))


def _node(controller: Device) -> int | None:
    target = controller.kids.get("target")
    return None if target is None else read_number((target.findtext("node") or "").strip())
