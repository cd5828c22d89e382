"""Read back what was written: nothing that libvirt would refuse or drop, nothing that QEMU or the guest refuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domxml import alias as aliases
from domxml import attributes
from domxml.apply import Change
from domxml.document import Domain, Element
from domxml.errors import Refused
from domxml.guestpci.buses import ENDPOINT, MODELS, PCI_BRIDGE, compatible
from domxml.guestpci.topology import Controller, Device, Topology
from domxml.pciaddress import PciAddress
from domxml.placement.values import PlacedController
from domxml.source import Mdev, holders

CODE = "output-would-not-work"
HINT = "please report this domain; the VM was left as it was"


def verify(data: bytes, changes: Iterable[Change], controllers: Iterable[PlacedController]) -> Domain:
    """Parse the output again and refuse it, whole, for the first thing that is wrong with it."""
    domain = Domain.parse(data)
    topology = Topology(domain)
    held = holders(domain)
    for change in changes:
        holder = held.get(change.placed.member.source)
        if holder is None or not holder.is_hostdev:
            raise _wrong(change.alias, "the device is not in the output")
        _check_device(holder.element, change)
    for controller in controllers:
        written = topology.controller(controller.index)
        if written is None or written.model != controller.model or written.address != controller.address:
            raise _wrong(f"controller {controller.index}", "the controller is not in the output as planned")
    for subject, problem in _problems(topology, changes):
        raise _wrong(subject, problem)
    return domain


def _wrong(subject: str, problem: str) -> Refused:
    return Refused(CODE, problem, subject=subject, hint=HINT)


def _check_device(element: Element, change: Change) -> None:
    placed = change.placed
    member = placed.member
    kind = "mdev" if isinstance(member.source, Mdev) else "pci"
    if (element.get("mode"), element.get("type"), element.get("managed")) != ("subsystem", kind, "no"):
        raise _wrong(change.alias, "the hostdev has lost its mode, type or managed attribute")
    alias = element.find("alias")
    if alias is None or not aliases.is_legal(alias.get("name", "")):
        raise _wrong(change.alias, "the hostdev has no alias that libvirt keeps; virt-launcher would crash on it")
    lost = attributes.missing(element, member.attributes)
    if lost:
        raise _wrong(change.alias, f"the hostdev has lost {', '.join(lost)}")
    if placed.address is not None:
        address = element.find("address")
        if address is None or PciAddress.from_attributes(address.attrib) != placed.address:
            raise _wrong(change.alias, f"the hostdev is not at guest address {placed.address}")


def _problems(topology: Topology, changes: Iterable[Change]) -> Iterator[tuple[str, str]]:
    """What is wrong with our own part of the guest; the base is libvirt's to judge."""
    ours = {change.placed.address for change in changes if change.placed.address is not None}
    yield from _address_problems(topology, ours)
    yield from _controller_problems(topology)
    yield from _unique_values(topology)
    yield from _display_problems(topology, changes)
    yield from _boot_problems(topology.domain, changes)


def _address_problems(topology: Topology, ours: set[PciAddress]) -> Iterator[tuple[str, str]]:
    owners: dict[PciAddress, Device] = {}
    buses = {controller.index: controller for controller in topology.controllers}
    for device in topology:
        address = device.address
        if address is None:
            continue
        if address in owners and (address in ours or isinstance(device, Controller)):
            yield device.label, f"Attempted double use of PCI Address {address} (with {owners[address].label})"
        owners[address] = device
    for address in ours:
        first = owners.get(address.with_function(0))
        if first is None:
            yield str(address), "function 0 of this guest slot is empty; the guest would not look further"
        elif address.function and _multifunction(first) == "off":
            yield str(address), "function 0 of this guest slot has multifunction='off'; QEMU refuses the others"
        if address.bus and address.bus not in buses:
            yield str(address), f"there is no PCI controller with index {address.bus}"
        bus = buses.get(address.bus)
        if bus is not None and not MODELS[bus.model].accepts & ENDPOINT:
            yield str(address), f"PCI controller {address.bus} ({bus.model}) takes no devices"


def _multifunction(device: Device) -> str:
    address = device.kids.get("address")
    return "" if address is None else address.get("multifunction", "")


def _controller_problems(topology: Topology) -> Iterator[tuple[str, str]]:
    buses = {controller.index: controller for controller in topology.controllers}
    chassis: dict[tuple[str, str], int] = {}
    for controller in topology.controllers:
        address = controller.address
        parent = None if address is None else buses.get(address.bus)
        if address is not None and parent is not None:
            accepts = MODELS[parent.model].accepts
            if not compatible(accepts, controller.needs, bus_index=address.bus, from_config=True):
                yield controller.label, f"a {controller.model} cannot be plugged into a {parent.model}"
            if controller.needs & PCI_BRIDGE and controller.index <= address.bus:
                yield controller.label, f"its index must be larger than its bus {address.bus}"
        target = controller.kids.get("target")
        if controller.model == "pcie-root-port" and address is not None:
            number = "" if target is None else target.get("chassis", "")
            port = "" if target is None else target.get("port", "")
            key = (number or str(controller.index), _port(port, address))
            if key in chassis:
                yield controller.label, f"chassis and port are those of controller {chassis[key]}; QEMU refuses them"
            chassis[key] = controller.index


def _port(text: str, address: PciAddress) -> str:
    return str(int(text, 0)) if text else str(address.slot << 3 | address.function)


def _unique_values(topology: Topology) -> Iterator[tuple[str, str]]:
    rows = (
        ("alias", "name", "alias"),
        ("acpi", "index", "acpiIndex"),
        ("boot", "order", "bootOrder"),
    )
    for tag, name, words in rows:
        seen: dict[str, str] = {}
        for device in topology:
            child = device.kids.get(tag)
            value = None if child is None else child.get(name)
            if value is None:
                continue
            if value in seen:
                yield device.label, f"{words} {value} is also that of {seen[value]}"
            seen[value] = device.label


def _display_problems(topology: Topology, changes: Iterable[Change]) -> Iterator[tuple[str, str]]:
    devices = [device.element for device in topology.devices if device.element is not None]
    asked = {key for change in changes for key in change.placed.member.attributes}
    if "display" in asked and topology.domain.devices.find("graphics") is None:
        shown = any(element.get("display") == "on" for element in devices)
        if shown:
            yield "display", "display='on' needs a graphics device in the VM"
    if "ramfb" in asked and sum(element.get("ramfb") == "on" for element in devices) > 1:
        yield "ramfb", "only one device of a VM can have ramfb='on'"


def _boot_problems(domain: Domain, changes: Iterable[Change]) -> Iterator[tuple[str, str]]:
    asked = any("bootOrder" in change.placed.member.attributes for change in changes)
    if asked and domain.root.find("os/boot") is not None:
        yield "bootOrder", "the domain has <os><boot>; libvirt refuses per-device boot orders beside it"
