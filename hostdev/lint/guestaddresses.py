"""Guest addresses that are asked for: can they exist in such a machine, and does each belong to one device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from domxml.finding import Finding
from domxml.guestfindings import FUNCTION_ZERO_MISSING, GUEST_ADDRESS_IMPOSSIBLE, GUEST_ADDRESS_TAKEN
from domxml.guestpci.machines import I440FX, MODELS, OTHER, Q35, S390, VIRT, BusModel, MachineType, RootKind
from domxml.pciaddress import PciAddress
from hostdev.lint.view import View
from hostdev.vmi.vmi import Vmi

_DEFAULTS = {"": Q35, "amd64": Q35, "arm64": VIRT, "s390x": S390}
"""What KubeVirt makes of a VM that names no machine type."""
_FAMILIES = (("q35", Q35), ("pc-q35", Q35), ("pc", I440FX), ("virt", VIRT), ("s390", S390))


class Place(NamedTuple):
    """A guest address, and what asks for it."""

    address: PciAddress
    owner: str
    where: str
    name: str = ""
    """The spec's name of the device; an entry that refers to it is the same device."""
    ours: bool = True
    whole_slot: bool = False
    functions: tuple[int, ...] = ()
    """Those that may stand in the address; empty where the device is not known."""

    def meets(self, other: Place) -> bool:
        """The two cannot be together."""
        if self.name and self.name == other.name:
            return False
        if self.whole_slot or other.whole_slot:
            return self.address.slot_address == other.address.slot_address
        return self.address == other.address


def impossible(view: View) -> Iterator[Finding]:
    """Addresses that the machine type does not have, or keeps to itself."""
    machine = _machine(view.vmi)
    for place in _places(view):
        if not place.ours:
            continue
        why = _why_not(machine, place.address) or _why_no_function(place)
        if why:
            what = f"guest address {place.address} is not possible: {why}"
            yield GUEST_ADDRESS_IMPOSSIBLE.found(place.where, what)
        elif place.address.bus == 0 and (place.address.slot, -1) in machine.reserved:
            what = f"guest address {place.address} belongs to {machine.reserved[place.address.slot, -1]}"
            yield GUEST_ADDRESS_TAKEN.found(place.where, what)


def twice(view: View) -> Iterator[Finding]:
    """Addresses that two devices want; those of the spec among themselves are KubeVirt's business."""
    places = _places(view)
    for index, place in enumerate(places):
        other = next((one for one in places[:index] if place.meets(one)), None)
        if other is not None and place.ours:
            yield GUEST_ADDRESS_TAKEN.found(place.where, f"{other.owner} asks for guest address {place.address} too")


def unreachable(view: View) -> Iterator[Finding]:
    """Functions of a slot of which no device asks for function 0."""
    places = _places(view)
    first = {place.address.slot_address for place in places if place.whole_slot or place.address.function == 0}
    for place in places:
        if place.ours and place.address.slot_address not in first:
            what = f"nobody asks for function 0 of guest slot {place.address.slot_address}; the guest would not look"
            yield FUNCTION_ZERO_MISSING.found(place.where, what)


def _places(view: View) -> list[Place]:
    """The spec's addresses first, then ours."""
    places = [
        Place(disk.guest, f"the disk {disk.name}", disk.place, ours=False) for disk in view.vmi.disks if disk.guest
    ]
    places += [
        Place(one.guest, f"the interface {one.name}", one.place, one.name, ours=False)
        for one in view.vmi.interfaces
        if one.guest
    ]
    for asked in view.asked:
        request = asked.request
        for index, address in enumerate(request.guests):
            where = f"{asked.place}.{asked.request.guest_key}" + (f"[{index}]" if len(request.guests) > 1 else "")
            whole = request.functions != "one"
            source = request.address
            functions = (0, source.function) if whole and isinstance(source, PciAddress) else ()
            places.append(Place(address, asked.place, where, request.device, whole_slot=whole, functions=functions))
    return places


def _why_not(machine: MachineType, address: PciAddress) -> str:
    if address.domain:
        return "a guest has PCI domain 0 only"
    if address.bus == 0 and address.slot == 0:
        return "slot 0 of bus 0 is the host bridge's"
    bus = _bus(machine, address.bus)
    if machine.root is RootKind.ZPCI and address.bus:
        return "devices of an s390x guest sit on bus 0 here"
    if bus is not None and not bus.first_slot <= address.slot <= bus.last_slot:
        slots = f"slot {bus.first_slot} only" if bus.is_port else f"slots {bus.first_slot} to {bus.last_slot}"
        return f"bus {address.bus} is behind a {bus.name}, which has {slots}"
    return ""


def _why_no_function(place: Place) -> str:
    if not place.functions or place.address.function in place.functions:
        return ""
    return f"the functions are one device, and its address is that of function 0: {place.address.slot_address}"


def _bus(machine: MachineType, number: int) -> BusModel | None:
    """The kind of a bus above 0 that libvirt or we add to such a machine."""
    if not number or machine.root is RootKind.NOWHERE:
        return None
    return MODELS["pcie-root-port" if machine.root is RootKind.PCIE else "pci-bridge"]


def _machine(vmi: Vmi) -> MachineType:
    if not vmi.machine:
        return _DEFAULTS.get(vmi.architecture, OTHER)
    return next((family for prefix, family in _FAMILIES if vmi.machine.startswith(prefix)), OTHER)


RULES = (impossible, twice, unreachable)
