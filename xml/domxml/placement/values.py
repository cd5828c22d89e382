"""The outcome of placing: devices with addresses, controllers to write down, and why."""

from __future__ import annotations

from typing import NamedTuple

from domxml.document import Element
from domxml.finding import Finding
from domxml.guestpci.prediction import Prediction
from domxml.guestpci.topology import Device
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
