"""The room in the guest's PCI tree while devices are being placed, and the outcome."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from domxml.commandline import command_line_devices
from domxml.document import Element
from domxml.errors import Refused
from domxml.finding import Finding
from domxml.guestfindings import (
    FUNCTION_ZERO_MISSING,
    GUEST_ADDRESS_IMPOSSIBLE,
    GUEST_ADDRESS_TAKEN,
    MULTIFUNCTION_OFF,
    NO_FREE_PLACE,
)
from domxml.guestpci.connect import Step
from domxml.guestpci.implicit import USB2
from domxml.guestpci.machines import ENDPOINT, MODELS, MachineType, RootKind
from domxml.guestpci.prediction import Prediction
from domxml.guestpci.topology import MAX_INDEX, Device, Topology
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress


class Zpci(NamedTuple):
    """The identity of a PCI device on s390x."""

    uid: int
    fid: int


class PlacedDevice(NamedTuple):
    """One host function at its guest address; None leaves the address to libvirt."""

    slot: GuestSlot
    function: GuestFunction
    address: PciAddress | None
    why: str
    zpci: Zpci | None = None

    @property
    def multifunction(self) -> bool:
        """Function 0 of a slot that holds more of us must say so."""
        return self.function.number == 0 and len(self.slot.functions) > 1


LIBVIRTS = "what libvirt adds for the VM's own devices, written down so that it stays"


class PlacedController(NamedTuple):
    """A PCI controller to write down, or (`restores`) one that lost something on the way through KubeVirt."""

    number: int
    model: str
    address: PciAddress
    why: str
    multifunction: bool = False
    bus_number: int | None = None
    node: int | None = None
    restores: bool = False
    alias: str = ""

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"PCI controller {self.number} ({self.model})"

    @property
    def is_libvirts(self) -> bool:
        """It would be there without us, too."""
        return self.why == LIBVIRTS


class Pin(NamedTuple):
    """A device of the base that gets its own predicted address written down, so that it stays where it is."""

    device: Device
    address: PciAddress


class Placement(NamedTuple):
    """Everything that has to be written."""

    devices: tuple[PlacedDevice, ...]
    controllers: tuple[PlacedController, ...] = ()
    pins: tuple[Pin, ...] = ()
    findings: tuple[Finding, ...] = ()
    before: Prediction | None = None
    """Where the base's devices would be without us; there only where writing may have moved one."""
    vacant: tuple[Element, ...] = ()
    """Ports of the document that are kept free from now on."""


PORT = "pcie-root-port"
BRIDGE = "pci-bridge"
_ON_BUS_0 = "ask for a free slot of bus 0, for example 0000:00:10.0"
"""What one would ask for where there are no root ports."""


class Labelled(Protocol):
    """An owner of an address: messages only need its name."""

    @property
    def label(self) -> str: ...


class Room:
    """Owners of addresses and models of buses; placing something takes its place here."""

    def __init__(self, topology: Topology, prediction: Prediction | None) -> None:
        self.machine = topology.machine
        self.models: dict[int, str] = {0: "pcie-root" if self.machine.root is RootKind.PCIE else "pci-root"}
        self.owners: dict[PciAddress, Labelled] = {}
        self.written = topology.used()
        """Addresses that stand in the document: those libvirt cannot give away any more."""
        self.below: dict[int, PciAddress] = {}
        """Where each bus's controller sits."""
        self._read(topology, prediction)
        for device in command_line_devices(topology.domain):
            if device.address is not None:
                self.owners.setdefault(device.address, device)
        self.controllers: list[PlacedController] = []

    def _read(self, topology: Topology, prediction: Prediction | None) -> None:
        if prediction is not None and prediction.known:
            for port in prediction.ports:
                self.models[port.index] = port.model.name
                if port.address:
                    self.below[port.index] = port.address
            self.owners.update(prediction.owners())
            return
        for controller in topology.controllers:
            self.models[controller.index] = controller.model
            if controller.address:
                self.below[controller.index] = controller.address
        self.owners.update(self.written)
        for device in topology.devices:
            for slot in preferred_slots(self.machine, device) if device.wants else ():
                self.owners.setdefault(PciAddress(0, 0, slot, 0), device)

    @property
    def max_index(self) -> int:
        """The highest bus there is so far."""
        return max(self.models)

    def slot_is_free(self, bus: int, slot: int) -> bool:
        """No device sits in that slot, and the chipset does not keep it."""
        if bus == 0 and (slot in self.machine.avoided or (slot, -1) in self.machine.reserved):
            return False
        return not any((0, bus, slot, function) in self.owners for function in range(8))

    def add_controller(self, controller: PlacedController) -> None:
        """Put a new controller into the tree."""
        if controller.number > MAX_INDEX:
            raise no_room(f"PCI controller indexes end at {MAX_INDEX}")
        self.controllers.append(controller)
        self.models[controller.number] = controller.model
        self.below[controller.number] = controller.address
        self.owners.setdefault(controller.address, controller)

    def settle(self, wish: GuestSlot, slot: PciAddress) -> None:
        """Take the wish's functions of a slot."""
        for member in wish.functions:
            self.owners[slot.with_function(member.number)] = member

    def check_asked(self, wish: GuestSlot, address: PciAddress, partners: frozenset[PciAddress]) -> None:
        """Refuse an address asked for that cannot be, in libvirt's own words; its bus may not exist yet."""
        root = self.machine.root
        _check_numbers(root, wish, address)
        new = PORT if root is RootKind.PCIE else BRIDGE
        name = self.models.get(address.bus, new)
        if name not in MODELS:
            what = f"PCI controller {address.bus} has model={name[:40]!r}"
            raise address_impossible(root, wish, what, "unknown value")
        model = MODELS[name]
        if root is RootKind.ZPCI and address.bus:
            what = "devices of an s390x guest sit on bus 0 here"
            raise address_impossible(root, wish, what, "yes, with a bridge of its own")
        if not model.accepts & ENDPOINT:
            raise address_impossible(
                root,
                wish,
                f"bus {address.bus} is a {model.name}, which takes no devices",
                f"The device at PCI address {address} cannot be plugged into the PCI controller with "
                f"index='{address.bus}'. It requires a controller that accepts a PCI Express device.",
            )
        if not model.first_slot <= address.slot <= model.last_slot:
            bound, limit = (">=", model.first_slot) if address.slot < model.first_slot else ("<=", model.last_slot)
            raise address_impossible(
                root,
                wish,
                f"bus {address.bus} ({model.name}) has slots {model.first_slot} to {model.last_slot}",
                f"Invalid PCI address {address}. slot must be {bound} {limit}",
            )
        self._check_owners(wish, address, partners)

    def _check_owners(self, wish: GuestSlot, address: PciAddress, partners: frozenset[PciAddress]) -> None:
        wanted = {address.with_function(member.number) for member in wish.functions}
        if address.bus == 0 and (address.slot, -1) in self.machine.reserved:
            raise address_taken(wish, address, self.machine.reserved[address.slot, -1])
        for function in sorted(wanted):
            if function in self.owners:
                raise address_taken(wish, function, self.owners[function].label)
        first = address.with_function(0)
        if first not in wanted and self._is_alone(first):
            what = f"{self.owners[first].label} is at {first} with multifunction='off'; nothing can be beside it"
            raise MULTIFUNCTION_OFF.refused(wish.name, what)
        if first not in wanted and first not in self.owners and first not in partners:
            what = f"guest address {address} has nothing on function 0 of its slot; the guest would never find it"
            raise FUNCTION_ZERO_MISSING.refused(wish.name, what)

    def _is_alone(self, address: PciAddress) -> bool:
        device = self.written.get(address)
        written = None if device is None or device.element is None else device.element.find("address")
        return written is not None and written.get("multifunction") == "off"


def preferred_slots(machine: MachineType, device: Device) -> tuple[int, ...]:
    """Slots of bus 0 that libvirt tries first for such a device, whatever else it does."""
    if device.step is Step.VIDEO and machine.default_video_slot is not None:
        return (machine.default_video_slot,)
    if machine.avoided and machine.root is RootKind.PCIE:
        if device.kind == "usb" and device.model in USB2:
            return 0x1D, 0x1A
        if device.step is Step.SOUND and device.model == "ich9":
            return (0x1B,)
    return ()


def _check_numbers(root: RootKind, wish: GuestSlot, address: PciAddress) -> None:
    if address.domain:
        raise address_impossible(
            root,
            wish,
            f"the guest has no PCI domain {address.domain:#x}",
            f"Invalid PCI address {address}. Only PCI domain 0 is available",
        )
    if address.bus == 0 and address.slot == 0:
        raise address_impossible(
            root, wish, "slot 0 of bus 0 is the host bridge's", "nothing: it would silently choose another address"
        )


def address_impossible(root: RootKind, wish: GuestSlot, what: str, libvirt: str) -> Refused:
    """The address asked for cannot exist below such a root."""
    message = f"guest address {wish.guest} is not possible: {what} (libvirt would say: {libvirt})"
    return GUEST_ADDRESS_IMPOSSIBLE.refused(wish.name, message, None if root is RootKind.PCIE else _ON_BUS_0)


def address_taken(wish: GuestSlot, address: PciAddress, owner: str) -> Refused:
    """The address asked for has an owner."""
    said = f"libvirt would say: Attempted double use of PCI Address {address}"
    return GUEST_ADDRESS_TAKEN.refused(wish.name, f"guest address {address} belongs to {owner} ({said})")


def no_room(what: str, hint: str | None = None) -> Refused:
    """Nothing more fits."""
    return NO_FREE_PLACE.refused("", what, hint)
