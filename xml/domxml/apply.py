"""Write a placement into a domain: ensure each host device, each controller, each attribute. Never append blindly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lxml import etree

from domxml import alias as aliases
from domxml import attributes
from domxml.document import Domain, DomainDevice, Element
from domxml.guestpci.machines import MachineType, RootKind
from domxml.pciaddress import PciAddress
from domxml.placement.ports import VACANCY
from domxml.placement.room import PlacedController, PlacedDevice, Placement, Zpci
from domxml.source import HostDevice, Mdev

ADDED, UPDATED, UNCHANGED = "added", "updated", "unchanged"


class Change(NamedTuple):
    """One placed device, what was done to it, and the alias it has in the end."""

    placed: PlacedDevice
    action: str
    alias: str


def apply(
    domain: Domain, machine: MachineType, placement: Placement, held: dict[HostDevice, DomainDevice]
) -> tuple[Change, ...]:
    """Edit the domain in place; answer what was done to each device."""
    for controller in placement.controllers:
        if controller.restores:
            _restore(domain, controller)
    new = [controller for controller in placement.controllers if not controller.restores]
    _append(domain.devices, _controllers(new), after="controller")
    for pin in placement.pins:
        element = pin.device.element
        if element is not None and _set_address(element, pin.address):
            _lay_out(domain.devices, element)
    for port in placement.vacant:
        if _ensure_child(port, "alias", "name", f"{VACANCY}{port.get('index')}"):
            _lay_out(domain.devices, port)
    added = [_new(machine, placed) for placed in placement.devices if placed.function.device not in held]
    _append(domain.devices, added, after="hostdev")
    return tuple(_change(domain, placed, held.get(placed.function.device)) for placed in placement.devices)


def remove(domain: Domain, holder: DomainDevice) -> None:
    """Take a host device of ours out again, its white space included."""
    element = holder.element
    previous = element.getprevious()
    tail = element.tail
    domain.devices.remove(element)
    if previous is not None:
        previous.tail = tail
    else:
        domain.devices.text = tail


def _new(machine: MachineType, placed: PlacedDevice) -> Element:
    device = placed.function.device
    made = DomainDevice(_hostdev(device, machine), device)
    _fill(made, placed)
    return made.element


def _change(domain: Domain, placed: PlacedDevice, holder: DomainDevice | None) -> Change:
    if holder is None:
        return Change(placed, ADDED, placed.function.alias)
    changed = _fill(holder, placed)
    if changed:
        _lay_out(domain.devices, holder.element)
    return Change(placed, UPDATED if changed else UNCHANGED, holder.alias)


def _hostdev(source: HostDevice, machine: MachineType) -> Element:
    element = etree.Element("hostdev", mode="subsystem")
    if isinstance(source, Mdev):
        element.set("type", "mdev")
        element.set("managed", "no")
        element.set("model", "vfio-ap" if machine.root is RootKind.ZPCI else "vfio-pci")
    else:
        element.set("type", "pci")
        element.set("managed", "no")
        etree.SubElement(element, "driver", name="vfio")
    origin = etree.SubElement(element, "source")
    if isinstance(source, Mdev):
        etree.SubElement(origin, "address", uuid=source.uuid)
    else:
        etree.SubElement(origin, "address", source.attributes())
    return element


def _fill(holder: DomainDevice, placed: PlacedDevice) -> bool:
    """Everything a pass may have lost, or libvirt may have decided otherwise."""
    element, function = holder.element, placed.function
    changed = _ensure_attribute(element, "mode", "subsystem")
    if isinstance(function.device, PciAddress) and holder.alias in {"", function.alias}:
        # A device that KubeVirt made keeps what KubeVirt wrote, beyond what was asked for.
        changed |= _ensure_child(element, "driver", "name", "vfio")
    if not aliases.is_legal(holder.alias):
        changed |= _ensure_child(element, "alias", "name", function.alias)
    changed |= attributes.ensure(element, function.attributes)
    if placed.address is not None:
        changed |= _set_address(element, placed.address, multifunction=placed.multifunction, zpci=placed.zpci)
    return changed


def _ensure_attribute(element: Element, name: str, value: str) -> bool:
    if element.get(name) == value:
        return False
    element.set(name, value)
    return True


def _ensure_child(element: Element, tag: str, name: str, value: str) -> bool:
    child = element.find(tag)
    if child is None:
        child = attributes.add_child(element, tag)
    return _ensure_attribute(child, name, value)


def _set_address(
    element: Element, address: PciAddress, *, multifunction: bool = False, zpci: Zpci | None = None
) -> bool:
    found = element.find("address")
    changed = found is None
    target = etree.SubElement(element, "address") if found is None else found
    if changed or target.get("type") != "pci" or PciAddress.from_attributes(target) != address:
        target.attrib.clear()
        target.set("type", "pci")
        for name, value in address.attributes().items():
            target.set(name, value)
        changed = True
    if multifunction:
        changed |= _ensure_attribute(target, "multifunction", "on")
    if zpci is not None:
        changed |= _ensure_child(target, "zpci", "uid", f"0x{zpci.uid:04x}")
        changed |= _ensure_child(target, "zpci", "fid", f"0x{zpci.fid:08x}")
    return changed


def _controllers(placed: Sequence[PlacedController]) -> list[Element]:
    # libxml2 reads an element in two thirds of the time that lxml takes to make one.
    return list(etree.fromstring(f"<devices>{''.join(map(_controller, placed))}</devices>")) if placed else []


def _controller(placed: PlacedController) -> str:
    """As text: numbers, and a model of the table."""
    number, node = placed.bus_number, placed.node
    target = "" if number is None else f'<target busNr="{number}"><node>{node}</node></target>'
    domain, bus, slot, function = placed.address.attributes().values()
    multifunction = ' multifunction="on"' if placed.multifunction else ""
    alias = f'<alias name="{placed.alias}"/>' if placed.alias else ""
    return (
        f'<controller type="pci" index="{placed.number}" model="{placed.model}">{target}<address type="pci" '
        f'domain="{domain}" bus="{bus}" slot="{slot}" function="{function}"{multifunction}/>{alias}</controller>'
    )


def _restore(domain: Domain, placed: PlacedController) -> None:
    for element in domain.devices.iterchildren("controller"):
        if element.get("type") == "pci" and element.get("index") == str(placed.number):
            _set_target(element, placed)


def _set_target(element: Element, placed: PlacedController) -> None:
    target = element.find("target")
    if target is None:
        target = etree.SubElement(element, "target")
    target.set("busNr", str(placed.bus_number))
    node = target.find("node")
    if node is None:
        node = etree.SubElement(target, "node")
    node.text = str(placed.node)


def _append(parent: Element, elements: list[Element], *, after: str) -> None:
    """Put elements behind the last of their kind, laid out as the document is."""
    if not elements:
        return
    last = next(parent.iterchildren(after, reversed=True), None)
    position = len(parent) - 1 if last is None else parent.index(last)
    # Stray text between devices is not ours to repeat.
    separator = parent.text if not (parent.text or "").strip() else ""
    unit = _unit(parent)
    for element in elements:
        if unit:
            etree.indent(element, unit, level=2)
        element.tail = separator
    if position >= 0:
        previous = parent[position]
        elements[-1].tail, previous.tail = previous.tail, separator
    parent[position + 1 : position + 1] = elements


def _lay_out(parent: Element, element: Element) -> None:
    """Indent an element that has changed as its siblings below <devices> are."""
    unit = _unit(parent)
    if unit:
        tail = element.tail
        etree.indent(element, unit, level=2)
        element.tail = tail


def _unit(devices: Element) -> str:
    """One step of indentation; empty for a document without line breaks, which stays without."""
    text = devices.text or ""
    if "\n" not in text or text.strip():
        return ""
    margin = text.rpartition("\n")[2]
    return margin[: max(1, len(margin) // 2)]
