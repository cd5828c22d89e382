"""Every device on a guest's PCI buses, where it sits, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from domxml import alias as aliases
from domxml.commandline import command_line_devices
from domxml.document import HYPERVISORS, Domain, Element
from domxml.guestpci.connect import Step
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import Prediction, predict
from domxml.guestpci.topology import Device, Topology, label
from domxml.pciaddress import PciAddress
from domxml.removal import is_marked
from domxml.source import HostDevice
from domxml.version import OLDEST, LibvirtVersion


class Place(StrEnum):
    """How the place of a device is known."""

    WRITTEN = "written"
    PLANNED = "planned"
    """Computed: where libvirt puts it when it defines the domain."""
    UNKNOWN = "unknown"


class Controller(NamedTuple):
    """A PCI controller, which is a bus of the guest."""

    number: int
    model: str
    address: PciAddress | None
    place: Place
    ours: bool


class GuestDevice(NamedTuple):
    """A device, as its author would name it."""

    element: str
    name: str
    source: HostDevice | None
    address: PciAddress | None
    place: Place
    controller: Controller | None
    """The bus it sits on; None for an unknown place."""
    ours: bool


class GuestDevices(NamedTuple):
    """All of a domain."""

    domain: str
    machine: str
    devices: tuple[GuestDevice, ...]
    controllers: tuple[Controller, ...]
    unknown: tuple[str, ...]
    """Why the places of some are not known."""
    refusal: str
    """What libvirt would say instead of defining the domain."""


def list_guest_devices(domain: Domain, libvirt: LibvirtVersion = OLDEST) -> GuestDevices:
    """List what is written, and what libvirt would make of the rest."""
    topology = Topology(domain, libvirt)
    kind = domain.root.get("type", "")
    unknown = Prediction(unknown=(f"what libvirt does for domains with type={kind!r} is not emulated",))
    prediction = predict(topology) if kind in HYPERVISORS else unknown
    controllers = _controllers(topology, prediction)
    sources = {holder.element: device for device, holder in domain.host_devices.items()}
    found = [*_devices(topology, prediction, controllers, sources), *_on_command_line(domain, controllers)]
    # What has no place comes last.
    found.sort(key=lambda one: (one.address is None, one.address or PciAddress(0, 0, 0, 0)))
    return GuestDevices(
        domain.name,
        topology.machine.name,
        tuple(found),
        tuple(controllers.values()),
        prediction.unknown if any(one.place is Place.UNKNOWN for one in found) else (),
        prediction.refusal,
    )


def _devices(
    topology: Topology,
    prediction: Prediction,
    controllers: Mapping[int, Controller],
    sources: Mapping[Element, HostDevice],
) -> Iterator[GuestDevice]:
    planned = prediction.addresses or {} if prediction.known else {}
    added = [device for device in planned if device.element is None and not device.label.startswith("the pci ")]
    for device in (*topology.devices, *added):
        address = device.address or planned.get(device)
        element = device.element
        if address is None and not (device.wants and _goes_to_pci(topology, device)):
            # It is on another bus: USB, SATA, a channel subsystem.
            continue
        yield GuestDevice(
            _tag(device),
            f"{device.kind}, added by libvirt" if element is None else _name(device),
            None if element is None else sources.get(element),
            address,
            _place(device.address, address),
            None if address is None else controllers.get(address.bus),
            element is not None and element.tag == "hostdev" and aliases.is_ours(_alias(device)),
        )


def _goes_to_pci(topology: Topology, device: Device) -> bool:
    """On s390x, only host devices do."""
    return topology.machine.root is not RootKind.ZPCI or device.step is Step.HOSTDEV


def _tag(device: Device) -> str:
    if device.element is not None:
        return str(device.element.tag)
    return device.kind if device.kind in {"memballoon", "video"} else "controller"


def _on_command_line(domain: Domain, controllers: Mapping[int, Controller]) -> Iterator[GuestDevice]:
    for device in command_line_devices(domain):
        if device.address is not None or device.device is not None:
            there = None if device.address is None else controllers.get(device.address.bus)
            place = _place(device.address, device.address)
            yield GuestDevice(
                "qemu:commandline", device.driver, device.device, device.address, place, there, ours=False
            )


def _controllers(topology: Topology, prediction: Prediction) -> dict[int, Controller]:
    found = {
        c.index: Controller(c.index, c.model, c.address, _at(c.address, c), is_marked(c)) for c in topology.controllers
    }
    if prediction.known:
        for port in prediction.ports:
            written = found.get(port.index)
            if written is None or (written.address is None and port.address is not None):
                ours = written is not None and written.ours
                found[port.index] = Controller(port.index, port.model.name, port.address, Place.PLANNED, ours)
    return dict(sorted(found.items()))


def _at(address: PciAddress | None, controller: Device) -> Place:
    """The root bus has no address."""
    return Place.WRITTEN if address is not None or not controller.index else Place.UNKNOWN


def _place(written: PciAddress | None, address: PciAddress | None) -> Place:
    if written is not None:
        return Place.WRITTEN
    return Place.UNKNOWN if address is None else Place.PLANNED


def _name(device: Device) -> str:
    """As virsh names a device: a disk and an interface by their targets, others by alias."""
    target, mac, model = (device.kids.get(tag) for tag in ("target", "mac", "model"))
    named = "" if target is None else target.get("dev", "")
    if named or _alias(device):
        return named or _alias(device)
    if mac is not None:
        return mac.get("address", "")
    if device.step is Step.VIDEO and model is not None:
        return model.get("type", "")
    return "" if device.element is None else label(device.element, device.kids).partition(" ")[2]


def _alias(device: Device) -> str:
    alias = device.kids.get("alias")
    return "" if alias is None else alias.get("name", "")
