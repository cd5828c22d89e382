"""The VM's own devices while ours are placed: who makes room, who is held where it would be, what stays empty."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from domxml.document import Element
from domxml.finding import Finding
from domxml.guestfindings import KUBEVIRT_PLACES_AGAIN
from domxml.guestpci.connect import Step
from domxml.guestpci.implicit import USB2
from domxml.guestpci.machines import MODELS, RootKind
from domxml.guestpci.prediction import Prediction
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestSlot
from domxml.kubevirt import LAST_PORT, placeholders
from domxml.pciaddress import PciAddress
from domxml.placement.ports import VACANCY, add_seats, vacant_ports
from domxml.placement.room import PORT, Pin, Room, preferred_slots


class BaseDevices:
    """What has to be written so that they stay, and where they would be without us."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.before: Prediction | None = None
        self.displaced: dict[PciAddress, Device] = {}
        self.pins: tuple[Pin, ...] = ()
        self.vacant: tuple[Element, ...] = ()

    def yield_to(self, room: Room, wish: GuestSlot, address: PciAddress) -> None:
        """Take what libvirt has only planned for a device of the VM; where that device goes is told later."""
        conventional = self.topology.machine.root is not RootKind.PCIE and not address.bus
        if not conventional and not room.models.get(address.bus, "").endswith("-port"):
            return
        for function in (address.with_function(one.number) for one in wish.functions):
            owner = room.owners.get(function)
            if not isinstance(owner, Device) or not owner.wants or function in room.written:
                continue
            if owner.kind == "usb" and owner.model in USB2:
                # Its companions are bound to its slot.
                continue
            if address.bus or address.slot not in preferred_slots(self.topology.machine, owner):
                del room.owners[function]
                self.displaced[function] = owner

    def reseat(self, room: Room) -> None:
        """Give devices that make room ports of their own: libvirt would put them among the others."""
        if self.topology.machine.root is not RootKind.PCIE or not self.displaced:
            return
        moving = [device for _, device in sorted(self.displaced.items())]
        for device, bus in zip(moving, add_seats(room, [one.label for one in moving]), strict=True):
            self.pins += (Pin(device, PciAddress(0, bus, 0, 0)),)
            room.owners[PciAddress(0, bus, 0, 0)] = device

    def return_to(self, seats: Sequence[int], taken: Collection[PciAddress], before: Prediction) -> None:
        """Put devices that had to make room on an earlier pass where they were put then."""
        planned = {a: d for d, a in (before.addresses or {}).items() if d.wants and d.element is not None}
        displaced = [planned[address] for address in sorted(taken) if address in planned]
        self.pins += tuple(Pin(device, PciAddress(0, bus, 0, 0)) for device, bus in zip(displaced, seats, strict=False))

    def hold(self, before: Prediction | None, ours: Collection[PciAddress | None]) -> None:
        """Write down where libvirt would put each: a device has left its turn, or has to go elsewhere."""
        if before is None or not before.known:
            return
        self.before = before
        seated = {pin.device for pin in self.pins}
        self.pins += tuple(
            Pin(device, address)
            for device, address in (before.addresses or {}).items()
            if device.wants and device.element is not None and device not in seated and address not in ours
        )

    def keep_vacant(self, room: Room, left: Sequence[PciAddress]) -> None:
        """Mark the ports that devices have left."""
        ports = dict(vacant_ports(room, self.topology, left))
        self.vacant = tuple(element for element in ports.values() if element is not None)
        marked = {bus for bus, element in ports.items() if element is None}
        room.controllers = [
            controller._replace(alias=f"{VACANCY}{controller.number}") if controller.number in marked else controller
            for controller in room.controllers
        ]


def is_placed_again(topology: Topology) -> bool:
    """Whether this is the first pass of a VM that some releases place twice, if they add ports: no placeholders."""
    return (
        topology.pcie
        and topology.controller(0) is None
        and not any(port.model == PORT and port.address is None for port in topology.controllers)
        and not placeholders(topology.domain)
    )


def with_ports(topology: Topology, spare: int) -> Topology:
    """The same devices beside the empty ports of the second placement, as they will be written: without addresses."""
    highest = max(topology.max_index, 0)
    added = []
    for index in range(highest + 1, min(highest + spare, LAST_PORT) + 1):
        port = Device(None, {}, MODELS[PORT].plugs_as, Step.PCI_CONTROLLER)
        port.kind, port.model, port.index = "pci", PORT, index
        added.append(port)
    return topology.beside(added)


def differences(first: Prediction, second: Prediction) -> Iterator[Finding]:
    """Tell which devices of the VM would be elsewhere on a release that places them again."""
    if not first.known or not second.known:
        return
    then = dict(_of_document(second))
    for device, address in _of_document(first):
        there = then.get(device, address)
        if device.wants and there != address:
            yield KUBEVIRT_PLACES_AGAIN.found(device.label, f"it is at {address}, and would be at {there} without us")


def _of_document(prediction: Prediction) -> Iterator[tuple[Device, PciAddress]]:
    return ((d, a) for d, a in (prediction.addresses or {}).items() if d.element is not None)
