"""Decide where every wished device goes: keep what an earlier pass decided, honour what is asked, place the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from domxml.alias import natural_order
from domxml.document import DomainDevice, Element
from domxml.errors import Refused
from domxml.finding import Finding, Severity
from domxml.guestfindings import HOTPLUG_PORTS_REDUCED, LEFT_TO_LIBVIRT, PLACEMENT_FALLBACK
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import Prediction, predict
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress
from domxml.placement.expander import lower_buses, place_on_expanders, restore_expanders
from domxml.placement.ports import pin_later_ports, place_on_ports
from domxml.placement.room import Room, address_taken
from domxml.placement.rootbus import add_bridges, place_on_root
from domxml.placement.values import Pin, PlacedController, PlacedDevice, Placement, Zpci
from domxml.source import HostDevice, Mdev

KUBEVIRT_LAST_INDEX = 31
ZPCI_BASE = 0x1000


def place(topology: Topology, wishes: Iterable[GuestSlot], held: Mapping[HostDevice, DomainDevice]) -> Placement:
    """Place all wishes, in the order of their names; the document is not touched, the topology is used up."""
    ordered = sorted(wishes, key=lambda wish: natural_order(wish.name))
    if topology.machine.root is RootKind.NOWHERE:
        if topology.controller(0) is None:
            raise Refused(
                "unsupported-machine",
                "this machine type is not known, and the domain shows no PCI root controller",
                subject=topology.domain.name,
                hint="use a q35, i440fx, aarch64 virt or s390x machine, or hand over the XML that libvirt dumps",
            )
        return _left_to_libvirt(ordered, topology)
    return _Placer(topology, ordered, held).run()


def _left_to_libvirt(wishes: Sequence[GuestSlot], topology: Topology) -> Placement:
    why = "left to libvirt"
    devices = [
        PlacedDevice(wish, member, wish.address_of(member, wish.guest) if wish.guest else None, why)
        for wish in wishes
        for member in wish.functions
    ]
    reason = f"machine type {topology.machine.name}: its PCI tree is not known"
    findings = tuple(LEFT_TO_LIBVIRT.found(wish.name, reason) for wish in wishes if not wish.guest)
    return Placement(tuple(devices), findings=findings)


class _Placer:
    """One placement. `slots` holds the slot of each wish, by name; None where libvirt is to choose."""

    def __init__(self, topology: Topology, wishes: list[GuestSlot], held: Mapping[HostDevice, DomainDevice]) -> None:
        self.topology = topology
        self.wishes = wishes
        by_element: dict[Element, Device] = {d.element: d for d in topology.devices if d.element is not None}
        self.devices: dict[HostDevice, Device] = {
            source: by_element[holder.element] for source, holder in held.items() if holder.element in by_element
        }
        self.slots: dict[str, PciAddress | None] = {}
        self.why: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.pins: tuple[Pin, ...] = ()
        self.displaced = False
        self.before: Prediction | None = None
        self.controllers: list[PlacedController] = []

    def run(self) -> Placement:
        self.wishes = [self._with_lost_bus(wish) for wish in self.wishes]
        moving = [wish for wish in self.wishes if not self._keep(wish)]
        asked = [wish for wish in moving if wish.guest is not None]
        pending = [wish for wish in moving if wish.guest is None]
        if moving:
            self._place(asked, pending)
        else:
            buses = frozenset(slot.bus for slot in self.slots.values() if slot is not None)
            self.pins = pin_later_ports(self.topology, buses)
        nodes = {s.bus: w.node for w in self.wishes if w.node is not None and (s := self.slots[w.name]) is not None}
        self.controllers += restore_expanders(self.topology, nodes)
        on_buses = {name: slot.bus for name, slot in self.slots.items() if slot is not None}
        self.findings += lower_buses(self.topology, self.controllers, on_buses)
        return Placement(tuple(self._placed()), tuple(self.controllers), self.pins, tuple(self.findings), self.before)

    def _with_lost_bus(self, wish: GuestSlot) -> GuestSlot:
        """A device that kept its address while its controller got lost asks for that very address."""
        device = self.devices.get(wish.functions[0].device)
        if device is None or device.address is None or wish.guest is not None or not device.address.bus:
            return wish
        lost = self.topology.controller(device.address.bus) is None
        return wish._replace(guest=device.address) if lost else wish

    def _keep(self, wish: GuestSlot) -> bool:
        """Whether the wish has its place already, or needs none from us."""
        if self._needs_no_address(wish):
            self._settle(wish, None, "a device of the channel subsystem has no PCI address")
            return True
        first = self.devices.get(wish.functions[0].device)
        if first is None:
            return False
        asked = wish.guest is not None or wish.node is not None
        if len(wish.functions) == 1 and first.address is None and not asked:
            self._settle(wish, None, "libvirt chooses, as for any device that KubeVirt made")
            return True
        if first.address is None or not self._together(wish, first.address):
            return False
        self._settle(wish, first.address, "kept from an earlier pass")
        return True

    def _together(self, wish: GuestSlot, address: PciAddress) -> bool:
        """Whether all members are in the document where they belong, on a bus that is there."""
        if wish.guest not in {None, address}:
            return False
        if address.bus and self.topology.controller(address.bus) is None:
            return False
        if len(wish.functions) == 1:
            return True
        devices = [self.devices.get(member.device) for member in wish.functions]
        return all(
            device is not None and device.address == address.with_function(member.number)
            for device, member in zip(devices, wish.functions, strict=True)
        )

    def _needs_no_address(self, wish: GuestSlot) -> bool:
        return self.topology.machine.root is RootKind.ZPCI and isinstance(wish.functions[0].device, Mdev)

    def _settle(self, wish: GuestSlot, slot: PciAddress | None, why: str) -> None:
        self.slots[wish.name], self.why[wish.name] = slot, why

    def _place(self, asked: list[GuestSlot], pending: list[GuestSlot]) -> None:
        before = self._predict()
        vacated, unaddressed = self._vacate([*asked, *pending])
        prediction = before if before is None else before.without(vacated)
        room = Room(self.topology, prediction)
        if prediction is not None and prediction.known:
            self._freeze(room, prediction)
        self._place_asked(room, asked)
        if self.topology.machine.root is RootKind.PCIE:
            self._place_pcie(room, prediction, asked, pending)
        else:
            self._place_root(room, prediction, asked, pending)
        self.controllers += room.controllers
        if before is not None and before.known and (unaddressed or self.topology.machine.root is RootKind.PCI):
            self.before = before
            self.pins = self._pins(before) if unaddressed or self.displaced else ()
        self._tell_indexes(room)

    def _predict(self) -> Prediction | None:
        """What libvirt will do; None where nothing is left for it to do, or where it is not emulated."""
        if self.topology.machine.root is RootKind.ZPCI or self.topology.all_addressed():
            return None
        return predict(self.topology)

    def _vacate(self, wishes: Sequence[GuestSlot]) -> tuple[set[Device], bool]:
        """Take away what the wished devices have now; tell which, and whether libvirt would have placed one."""
        vacated = {
            device
            for wish in wishes
            for member in wish.functions
            if (device := self.devices.get(member.device)) is not None
        }
        unaddressed = any(device.wants for device in vacated)
        for device in vacated:
            device.address, device.wants = None, False
        return vacated, unaddressed

    def _freeze(self, room: Room, prediction: Prediction) -> None:
        """Write down every controller that libvirt would add, where it would: then ours push nothing aside."""
        slots = [port.address.slot_address for port in prediction.ports if port.address]
        for port in prediction.added:
            if port.address is not None:
                room.add_controller(
                    PlacedController(
                        port.index,
                        port.model.name,
                        port.address,
                        "what libvirt adds for the VM's own devices, written down so that it stays",
                        multifunction=port.address.function == 0 and slots.count(port.address) > 1,
                    )
                )

    def _place_asked(self, room: Room, asked: Sequence[GuestSlot]) -> None:
        wanted = [(wish, wish.guest) for wish in asked if wish.guest is not None]
        partners = frozenset(address for _, address in wanted)
        for wish, address in wanted:
            self._yield_to(room, wish, address)
            room.check_asked(wish, address, partners)
            room.settle(wish, address)
            self._settle(wish, address, "asked for")

    def _yield_to(self, room: Room, wish: GuestSlot, address: PciAddress) -> None:
        """On a conventional bus, what libvirt has only planned for somebody else may be taken; it is told later."""
        if self.topology.machine.root is not RootKind.PCI or address.bus:
            return
        for member in wish.functions:
            function = address.with_function(member.number)
            reserved = (address.slot, -1) in self.topology.machine.reserved
            if function in room.owners and function not in room.written and not reserved:
                if isinstance(room.owners[function], GuestFunction):
                    raise address_taken(wish, function, room.owners[function].label)
                del room.owners[function]
                self.displaced = True

    def _place_pcie(
        self, room: Room, prediction: Prediction | None, asked: Sequence[GuestSlot], pending: Sequence[GuestSlot]
    ) -> None:
        new_buses = frozenset(wish.guest.bus for wish in asked if wish.guest is not None) - room.models.keys()
        on_nodes: list[GuestSlot] = []
        if prediction is not None and not prediction.known:
            reason = prediction.refusal or "; ".join(prediction.unknown)
            self.findings += [PLACEMENT_FALLBACK.found(wish.name, reason) for wish in (*asked, *pending)]
            self._settle_all(place_on_root(room, pending, keep_free=0), "directly on bus 0: it moves nothing")
            pending = ()
        else:
            on_nodes = [wish for wish in pending if wish.node is not None]
            pending = [wish for wish in pending if wish.node is None]
        self._place_on_ports(room, pending, new_buses)
        # After the ports: a guest counts no bus of the main tree for an expander, and its numbers would not be ours.
        slots, findings = place_on_expanders(room, self.topology, on_nodes)
        self.findings += findings
        self._settle_all(slots, "on its NUMA node, behind an expander bus")
        self._place_on_ports(room, [wish for wish in on_nodes if wish.name not in slots], frozenset())

    def _place_on_ports(self, room: Room, wishes: Sequence[GuestSlot], buses: frozenset[int]) -> None:
        slots = place_on_ports(room, wishes, buses)
        for wish in wishes:
            room.settle(wish, slots[wish.name])
        self._settle_all(slots, "a root port of its own, above all others")

    def _place_root(
        self, room: Room, prediction: Prediction | None, asked: Sequence[GuestSlot], pending: Sequence[GuestSlot]
    ) -> None:
        add_bridges(room, max((wish.guest.bus for wish in asked if wish.guest is not None), default=0))
        conventional = self.topology.machine.root is RootKind.PCI
        if prediction is not None and not prediction.known:
            reason = prediction.refusal or "; ".join(prediction.unknown)
            self.findings += [PLACEMENT_FALLBACK.found(wish.name, reason, severity=Severity.INFO) for wish in pending]
        unplaced = sum(device.wants for device in self.topology) if prediction and not prediction.known else 0
        slots = place_on_root(room, pending, keep_free=(unplaced + 1) if conventional else 0)
        why = "a slot at the far end of bus 0" if conventional else "a slot of the pretended root bus"
        self._settle_all(slots, why)

    def _settle_all(self, slots: Mapping[str, PciAddress], why: str) -> None:
        for name, slot in slots.items():
            self.slots[name], self.why[name] = slot, why

    def _pins(self, before: Prediction) -> tuple[Pin, ...]:
        """A device leaves its turn, or has to go elsewhere: those behind it are held where they would be."""
        ours = {placed.address for placed in self._placed()}
        return tuple(
            Pin(device, address)
            for device, address in (before.addresses or {}).items()
            if device.wants and device.element is not None and address not in ours
        )

    def _tell_indexes(self, room: Room) -> None:
        if self.topology.machine.root is RootKind.PCIE and room.max_index > KUBEVIRT_LAST_INDEX and room.controllers:
            text = f"PCI controllers go up to index {room.max_index}, KubeVirt adds ports up to {KUBEVIRT_LAST_INDEX}"
            self.findings.append(HOTPLUG_PORTS_REDUCED.found(self.topology.domain.name, text))

    def _placed(self) -> list[PlacedDevice]:
        placed = []
        for wish in self.wishes:
            slot = self.slots[wish.name]
            for member in wish.functions:
                address = self._address(wish, member, slot)
                placed.append(PlacedDevice(wish, member, address, self.why[wish.name], self._zpci(address)))
        return placed

    def _address(self, wish: GuestSlot, member: GuestFunction, slot: PciAddress | None) -> PciAddress | None:
        if slot is None or len(wish.functions) == 1:
            return slot if slot is None or slot.function or wish.guest else wish.address_of(member, slot)
        return wish.address_of(member, slot)

    def _zpci(self, address: PciAddress | None) -> Zpci | None:
        if self.topology.machine.root is not RootKind.ZPCI or address is None:
            return None
        number = ZPCI_BASE + (address.bus << 8 | address.slot << 3 | address.function)
        return Zpci(number, number)
