"""Expander buses: host bridges of their own that tie devices to a guest NUMA node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from domxml.document import Domain
from domxml.finding import Finding
from domxml.guestfindings import GUEST_BUS_LOWER, NUMA_NOT_POSSIBLE
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestSlot
from domxml.pciaddress import PciAddress, read_number
from domxml.placement.room import PORT, Room
from domxml.placement.values import PlacedController

EXPANDER = "pcie-expander-bus"
TOP = 256
PORTS = 32
"""The slots of an expander bus."""
RESERVE = 8
"""Bus numbers kept free below an expander's for what is plugged in later."""


def guest_nodes(domain: Domain) -> frozenset[int]:
    """The NUMA nodes of the guest."""
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
