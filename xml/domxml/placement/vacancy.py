"""Ports that an earlier pass has marked: one that stays empty, and one for a device of the VM that made room.

KubeVirt's structs forget where some devices are. A port's alias is one of the few things that they keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml.alias import PREFIX, is_legal
from domxml.document import Element
from domxml.guestpci.connect import NONE, Step
from domxml.guestpci.topology import Device, Topology
from domxml.pciaddress import PciAddress
from domxml.placement.room import Room

VACANCY = f"{PREFIX}vacancy-"
"""A device has left it, and the next one without an address would fall into it."""
SEAT = f"{PREFIX}seat-"
"""A device of the VM sits there, because one of ours was asked onto its place."""


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
