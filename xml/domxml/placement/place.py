"""Decide where every wished device goes: keep what an earlier pass decided, honour what is asked, place the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from domxml.alias import natural_order
from domxml.document import DomainDevice, Element
from domxml.errors import Refused
from domxml.finding import Finding, Severity
from domxml.guestfindings import (
    BASE_DEVICE_MOVES,
    DOMAIN_REFUSED,
    HOTPLUG_PORTS_REDUCED,
    LEFT_TO_LIBVIRT,
    PLACEMENT_FALLBACK,
)
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import Prediction, is_settled, predict
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.kubevirt import LAST_PORT, is_made_by_kubevirt, spare_ports
from domxml.pciaddress import PciAddress
from domxml.placement.basedevices import BaseDevices, differences, is_placed_again, with_ports
from domxml.placement.ports import (
    find_seats,
    frozen_controllers,
    keep_vacancies,
    lower_buses,
    pin_later_ports,
    place_on_expanders,
    place_on_ports,
    restore_expanders,
)
from domxml.placement.room import (
    PlacedController,
    PlacedDevice,
    Placement,
    Room,
    Zpci,
    address_impossible,
    address_taken,
    no_room,
)
from domxml.placement.rootbus import add_bridges, place_on_root
from domxml.source import HostDevice, Mdev

ZPCI_BASE = 0x1000


def place(
    topology: Topology,
    wishes: Iterable[GuestSlot],
    held: Mapping[HostDevice, DomainDevice],
    *,
    again: bool | None = None,
) -> Placement:
    """Place all wishes, in the order of their names; the document is not touched, the topology is used up.

    `again` tells whether KubeVirt will place a VM without placeholders a second time; None: that is not known.
    """
    ordered = sorted(wishes, key=lambda wish: natural_order(wish.name))
    if topology.machine.root is RootKind.NOWHERE:
        if topology.controller(0) is None:
            raise Refused(
                "unsupported-machine",
                "this machine type is not known, and the domain shows no PCI root controller",
                subject=topology.domain.name,
                hint="use a q35, i440fx, aarch64 virt or s390x machine, or hand over the XML that libvirt dumps; "
                "an Arm domain without a machine type is virt from libvirt 11.3 on",
            )
        return _left_to_libvirt(ordered, topology, held)
    return _Placer(topology, ordered, held, again=again).run()


def _left_to_libvirt(
    wishes: Sequence[GuestSlot], topology: Topology, held: Mapping[HostDevice, DomainDevice]
) -> Placement:
    why = "left to libvirt"
    written = topology.used()
    for wish in wishes:
        for member in wish.functions:
            address = None if wish.guest is None else wish.address_of(member, wish.guest)
            owner = None if address is None else written.get(address)
            if address is not None and owner is not None and _device_of(owner, held) != member.device:
                raise address_taken(wish, address, owner.label)
        if wish.guest is not None and wish.guest.bus and topology.controller(wish.guest.bus) is None:
            what = f"there is no PCI controller {wish.guest.bus}, and on this machine type none can be added"
            raise address_impossible(topology.machine.root, wish, what, "yes, with a controller of its own")
    devices = [
        PlacedDevice(wish, member, wish.address_of(member, wish.guest) if wish.guest else None, why)
        for wish in wishes
        for member in wish.functions
    ]
    reason = f"machine type {topology.machine.name}: its PCI tree is not known"
    findings = tuple(LEFT_TO_LIBVIRT.found(wish.name, reason) for wish in wishes if not wish.guest)
    return Placement(tuple(devices), findings=findings)


def _device_of(owner: Device, held: Mapping[HostDevice, DomainDevice]) -> HostDevice | None:
    return next((device for device, holder in held.items() if holder.element is owner.element), None)


class _Placer:
    """One placement. `slots` holds the slot of each wish, by name; None where libvirt is to choose."""

    def __init__(
        self,
        topology: Topology,
        wishes: list[GuestSlot],
        held: Mapping[HostDevice, DomainDevice],
        *,
        again: bool | None,
    ) -> None:
        self.topology = topology
        self.again = again
        self.kubevirt = is_made_by_kubevirt(topology.domain)
        self.wishes = wishes
        self.held = held
        by_element: dict[Element, Device] = {d.element: d for d in topology.devices if d.element is not None}
        self.devices: dict[HostDevice, Device] = {
            source: by_element[holder.element] for source, holder in held.items() if holder.element in by_element
        }
        self.slots: dict[str, PciAddress | None] = {}
        self.why: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.base = BaseDevices(topology)
        self.occupied: set[int] = set()
        self.controllers: list[PlacedController] = []

    @cached_property
    def spare(self) -> int:
        return spare_ports(self.topology.domain) if self.kubevirt else 0

    def run(self) -> Placement:
        self.wishes = [self._with_lost_bus(wish) for wish in self.wishes]
        kept = self.kubevirt and keep_vacancies(self.topology)
        moving = [wish for wish in self.wishes if not self._keep(wish)]
        asked = [wish for wish in moving if wish.guest is not None]
        pending = [wish for wish in moving if wish.guest is None]
        if moving:
            self._place(asked, pending, kept=kept)
        else:
            self._hold_others(kept=kept)
        nodes = {s.bus: w.node for w in self.wishes if w.node is not None and (s := self.slots[w.name]) is not None}
        self.controllers += restore_expanders(self.topology, nodes)
        on_buses = {name: slot.bus for name, slot in self.slots.items() if slot is not None}
        self.findings += lower_buses(self.topology, self.controllers, on_buses)
        return Placement(
            tuple(self._placed()),
            tuple(self.controllers),
            self.base.pins,
            tuple(self.findings),
            self.base.before,
            self.base.vacant,
        )

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
        ours = self.held[wish.functions[0].device].is_ours
        self._settle(wish, first.address, "kept from an earlier pass" if ours else "where the domain has it")
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

    def _place(self, asked: list[GuestSlot], pending: list[GuestSlot], *, kept: bool) -> None:
        before = self._predict()
        written = {device: device.address for device in self.topology if device.address is not None}
        places = dict(before.addresses or {}) if before is not None and before.known else written
        vacated = self._vacate([*asked, *pending])
        left = [places[device] for device in vacated if device in places]
        prediction = before if before is None else before.without(vacated)
        room = Room(self.topology, prediction)
        base = frozenset(room.models)
        self.occupied = {address.bus for address in room.owners} | {address.bus for address in left}
        if prediction is not None and prediction.known:
            self._freeze(room, prediction)
        if self.topology.machine.root is RootKind.ZPCI and before is not None and before.unknown:
            raise no_room("; ".join(before.unknown))
        self._tell_unknown(before, [*asked, *pending])
        pending = self._stay_together(room, pending, places)
        self._place_asked(room, asked)
        if self.topology.machine.root is RootKind.PCIE:
            self._place_pcie(room, prediction, asked, pending)
        else:
            self._place_root(room, prediction, asked, pending)
        self.base.reseat(room)
        if left and self.kubevirt:
            self.base.keep_vacant(room, left)
        self.controllers += room.controllers
        if vacated or kept or self.base.displaced:
            self.base.hold(before, {placed.address for placed in self._placed()})
        self._tell_ports(room, base)

    def _predict(self) -> Prediction | None:
        """Predict what libvirt will do; None where nothing is left for it to do, or where it is not emulated."""
        if is_settled(self.topology):
            return None
        if self.again is False or not is_placed_again(self.topology) or not self.spare:
            return predict(self.topology)
        if self.again:
            return predict(with_ports(self.topology, self.spare))
        first = predict(self.topology)
        if not first.on_own_ports:
            self.findings += differences(first, predict(with_ports(self.topology, self.spare)))
        return first

    def _hold_others(self, *, kept: bool) -> None:
        """On a later pass: ours are there, and libvirt does not know what was decided for the others."""
        buses = frozenset(slot.bus for slot in self.slots.values() if slot is not None)
        self.base.pins = pin_later_ports(self.topology, buses)
        seats = find_seats(self.topology) if self.kubevirt else []
        if not seats and not kept:
            return
        own = {device: device.address for device in self.devices.values()} if seats else {}
        for device in own:
            device.address = None
        before = self._predict()
        for device, address in own.items():
            device.address = address
        if before is not None and before.known:
            taken = [address for address in own.values() if address is not None]
            self.base.return_to(seats, taken, before)
            self.base.hold(before, taken)

    def _vacate(self, wishes: Sequence[GuestSlot]) -> set[Device]:
        """Take away what the wished devices have now."""
        vacated = {
            device
            for wish in wishes
            for member in wish.functions
            if (device := self.devices.get(member.device)) is not None
        }
        for device in vacated:
            device.address, device.wants = None, False
        return vacated

    def _stay_together(
        self, room: Room, pending: list[GuestSlot], places: Mapping[Device, PciAddress]
    ) -> list[GuestSlot]:
        """Functions join the one that the domain has already, where it is: it need not leave its place for them."""
        others = []
        for wish in pending:
            there = (self.devices.get(function.device) for function in wish.functions)
            device = next((device for device in there if device is not None and device in places), None)
            if device is None or wish.node is not None:
                others.append(wish)
                continue
            place = places[device]
            if not self._have_room(room, wish, place.slot_address):
                others.append(wish)
                text = f"its functions have no room together at {place}, where the domain has it: it goes elsewhere"
                self.findings.append(BASE_DEVICE_MOVES.found(wish.name, text))
                continue
            room.settle(wish, place.slot_address)
            self._settle(wish, place.slot_address, "where the domain has one of its functions")
        return others

    def _have_room(self, room: Room, wish: GuestSlot, slot: PciAddress) -> bool:
        return not any(slot.with_function(member.number) in room.owners for member in wish.functions)

    def _freeze(self, room: Room, prediction: Prediction) -> None:
        for controller in frozen_controllers(prediction):
            room.add_controller(controller)

    def _place_asked(self, room: Room, asked: Sequence[GuestSlot]) -> None:
        wanted = [(wish, wish.guest) for wish in asked if wish.guest is not None]
        partners = frozenset(address for _, address in wanted)
        for wish, address in wanted:
            self.base.yield_to(room, wish, address)
            room.check_asked(wish, address, partners)
            room.settle(wish, address)
            self._settle(wish, address, "asked for")

    def _place_pcie(
        self, room: Room, prediction: Prediction | None, asked: Sequence[GuestSlot], pending: Sequence[GuestSlot]
    ) -> None:
        new_buses = frozenset(wish.guest.bus for wish in asked if wish.guest is not None) - room.models.keys()
        on_nodes: list[GuestSlot] = []
        if prediction is not None and not prediction.known:
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
        unplaced = sum(device.wants for device in self.topology) if prediction and not prediction.known else 0
        slots = place_on_root(room, pending, keep_free=(unplaced + 1) if conventional else 0)
        why = "a slot at the far end of bus 0" if conventional else "a slot of the pretended root bus"
        self._settle_all(slots, why)

    def _settle_all(self, slots: Mapping[str, PciAddress], why: str) -> None:
        for name, slot in slots.items():
            self.slots[name], self.why[name] = slot, why

    def _tell_unknown(self, before: Prediction | None, moving: Sequence[GuestSlot]) -> None:
        """Where libvirt's own allocation is not known, neither is what an address that is asked for takes from it."""
        if before is None or before.known:
            return
        if before.refusal:
            self.findings.append(DOMAIN_REFUSED.found(self.topology.domain.name, before.refusal))
        reason = before.refusal or "; ".join(before.unknown)
        conventional = self.topology.machine.root is RootKind.PCI
        for wish in moving:
            if wish.guest is not None:
                reason = f"{reason}; a device that libvirt would have put to {wish.guest} goes elsewhere"
            severity = Severity.INFO if conventional and wish.guest is None else None
            self.findings.append(PLACEMENT_FALLBACK.found(wish.name, reason, severity=severity))

    def _tell_ports(self, room: Room, base: Collection[int]) -> None:
        """KubeVirt adds so many ports above the highest index, up to 31; one may also sit on the spare one."""
        if not self.kubevirt or self.topology.machine.root is not RootKind.PCIE:
            return
        lost = _lost(self.spare, room.max_index) - _lost(self.spare, max(base, default=0))
        taken = {slot.bus for slot in self.slots.values() if slot is not None and slot.bus and slot.bus in base}
        spare = sum(1 for bus in taken if bus not in self.occupied)
        if lost + spare > 0:
            text = f"PCI controllers go up to index {room.max_index}: it has {lost + spare} ports fewer for hotplug"
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


def _lost(wanted: int, highest: int) -> int:
    return min(wanted, max(0, highest + wanted - LAST_PORT))
