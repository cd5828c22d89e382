"""One host device for a VM that runs: a <hostdev> of its own, and the places of the VM where one can be plugged in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lxml import etree

from domxml import attributes
from domxml.apply import make_hostdev
from domxml.conflicts import check_conflicts
from domxml.document import Domain
from domxml.editfindings import NO_PORT_FREE, PLACE_NOT_CHECKED
from domxml.errors import Refused
from domxml.finding import Finding
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import is_settled
from domxml.guestpci.topology import Device, Topology
from domxml.guestslot import GuestSlot
from domxml.pciaddress import PciAddress
from domxml.placement.room import BRIDGE, PORT, PlacedDevice, Room, address_impossible
from domxml.version import OLDEST, LibvirtVersion

_PORTS = (PORT, "pcie-switch-downstream-port")
_ANY = b"<domain type='kvm'><os><type arch='x86_64' machine='q35'>hvm</type></os><devices/></domain>"
_LAST_SLOT = 0x1F


class Snippets(NamedTuple):
    """The elements, one a device, and what there is to say."""

    xml: tuple[bytes, ...]
    findings: tuple[Finding, ...]


def no_domain() -> Domain:
    """Stands for the VM where none is given: nothing of it is used but the kind of machine."""
    return Domain.parse(_ANY)


def make_snippets(
    domain: Domain, wishes: Sequence[GuestSlot], *, known: bool, libvirt: LibvirtVersion = OLDEST
) -> Snippets:
    """Make a <hostdev> of each wish; without a `known` VM an address is written as it was asked for."""
    topology = Topology(domain, libvirt)
    _check(domain, wishes, topology, libvirt)
    findings: list[Finding] = []
    if known:
        places = _choose_places(topology, wishes, findings)
    else:
        places = [wish.guest for wish in wishes]
        asked = [wish for wish in wishes if wish.guest is not None]
        findings += [PLACE_NOT_CHECKED.found(wish.name, f"no domain was given: {wish.guest}") for wish in asked]
    made = []
    for wish, place in zip(wishes, places, strict=True):
        element = make_hostdev(topology.machine, PlacedDevice(wish, wish.functions[0], place, ""))
        etree.indent(element)
        made.append(etree.tostring(element, encoding="unicode").encode() + b"\n")
    return Snippets(tuple(made), tuple(findings))


def _check(domain: Domain, wishes: Sequence[GuestSlot], topology: Topology, libvirt: LibvirtVersion) -> None:
    held = domain.host_devices
    for wish in wishes:
        first = wish.functions[0]
        if len(wish.functions) > 1:
            what = "libvirt plugs one function into a running VM, on function 0 of its slot"
            raise Refused("functions-not-possible", what, subject=wish.name, hint="leave functions out")
        if first.device in held:
            raise Refused(
                "device-attached",
                f"a <{held[first.device].element.tag}> of the domain holds this device already",
                subject=str(first.device),
                hint="libvirt would say: Hostdev already exists in the domain configuration",
            )
        for key, value in first.attributes.items():
            attributes.check(key, value, first.device, libvirt)
    check_conflicts(domain, topology.machine, tuple(wishes), {})


def _choose_places(topology: Topology, wishes: Sequence[GuestSlot], findings: list[Finding]) -> list[PciAddress | None]:
    room = Room(topology, None)
    settled = is_settled(topology)
    taken = [wish.guest for wish in wishes if wish.guest is not None]
    free = (place for place in _free_places(topology, room) if place not in taken) if settled else iter(())
    places: list[PciAddress | None] = []
    for wish in wishes:
        if wish.guest is not None:
            _check_asked(topology, room, wish, wish.guest)
            room.settle(wish, wish.guest)
            if not settled:
                text = f"not every device of the domain has its address written down: {wish.guest} may be taken"
                findings.append(PLACE_NOT_CHECKED.found(wish.name, text))
            places.append(wish.guest)
            continue
        place = next(free, None)
        places.append(place)
        if not settled:
            text = "not every device of the domain has its address written down, and none is written for this one"
            findings.append(PLACE_NOT_CHECKED.found(wish.name, text))
        elif place is None:
            findings.append(NO_PORT_FREE.found(wish.name, "no port of the domain is free, and none can be added now"))
    return places


def _check_asked(topology: Topology, room: Room, wish: GuestSlot, address: PciAddress) -> None:
    room.check_asked(wish, address, frozenset())
    root = topology.machine.root
    if address.function:
        raise address_impossible(root, wish, "a running VM takes a device on function 0 only", "only function 0")
    controller = topology.controller(address.bus)
    if controller is None and address.bus:
        raise address_impossible(root, wish, f"the VM has no PCI controller {address.bus}", "no such controller")
    if not _takes_plugs(topology, controller, address.bus):
        what = f"nothing can be plugged into bus {address.bus} while the VM runs"
        raise address_impossible(root, wish, what, "the bus does not support hotplugging")


def _takes_plugs(topology: Topology, controller: Device | None, bus: int) -> bool:
    target = None if controller is None else controller.kids.get("target")
    if target is not None and target.get("hotplug") == "off":
        return False
    return bool(bus) or topology.machine.root is not RootKind.PCIE


def _free_places(topology: Topology, room: Room) -> Iterator[PciAddress]:
    """In the order in which libvirt fills them."""
    for controller in sorted(topology.controllers, key=lambda c: c.index):
        bus = controller.index
        if not _takes_plugs(topology, controller, bus):
            continue
        if controller.model in _PORTS and room.slot_is_free(bus, 0):
            yield PciAddress(0, bus, 0, 0)
        elif topology.machine.root is RootKind.PCI and controller.model in {"pci-root", BRIDGE}:
            yield from (
                PciAddress(0, bus, slot, 0) for slot in range(1, _LAST_SLOT + 1) if room.slot_is_free(bus, slot)
            )
