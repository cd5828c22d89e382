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
    was_at: PciAddress | None = None
    """The guest address that the domain had for it, where it is another one now."""
    was_called: str = ""
    """The alias that it had, where it has another one now."""


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
    added = [make_hostdev(machine, placed) for placed in placement.devices if placed.function.device not in held]
    _append(domain.devices, added, after="hostdev")
    return tuple(_change(domain, placed, held.get(placed.function.device)) for placed in placement.devices)


def take_out(parent: Element, element: Element) -> None:
    """Remove a child with the white space before it."""
    previous = element.getprevious()
    before = parent.text if previous is None else previous.tail
    after = element.tail
    # lxml takes the tail away with the element.
    parent.remove(element)
    kept = f"{before}{after or ''}" if before and before.strip() else after
    if previous is None:
        parent.text = kept
    else:
        previous.tail = kept


def make_hostdev(machine: MachineType, placed: PlacedDevice) -> Element:
    """A <hostdev> that is in no domain yet."""
    device = placed.function.device
    made = DomainDevice(_hostdev(device, machine), device)
    _fill(made, placed)
    return made.element


def _change(domain: Domain, placed: PlacedDevice, holder: DomainDevice | None) -> Change:
    if holder is None:
        return Change(placed, ADDED, placed.function.alias)
    address, alias = _guest_address(holder.element), holder.alias
    changed = _fill(holder, placed)
    if changed:
        _lay_out(domain.devices, holder.element)
    was_at = address if placed.address not in {None, address} else None
    was_called = alias if holder.alias != alias else ""
    return Change(placed, UPDATED if changed else UNCHANGED, holder.alias, was_at, was_called)


def _guest_address(element: Element) -> PciAddress | None:
    found = element.find("address")
    if found is None or found.get("type") != "pci":
        return None
    address = PciAddress.from_attributes(found)
    return address if any((address.domain, address.bus, address.slot)) else None


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
    # virt-launcher knows its own devices by their aliases.
    renamed = function.renames and not aliases.kubevirt_name(holder.alias)
    if renamed or not aliases.is_legal(holder.alias):
        changed |= _ensure_child(element, "alias", "name", function.alias)
    if isinstance(function.device, PciAddress) and holder.alias == function.alias:
        # A device that KubeVirt made keeps what KubeVirt wrote, beyond what was asked for.
        changed |= _ensure_child(element, "driver", "name", "vfio")
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
            _lay_out(domain.devices, element)


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
    position = _end(parent) if last is None else parent.index(last)
    separator, unit = _separator(parent, position), _unit(parent)
    margin = separator.rpartition("\n")[2]
    for element in elements:
        if unit and "\n" in separator:
            _indent(element, unit, margin)
        element.tail = separator
    if position >= 0:
        previous = parent[position]
        elements[-1].tail, previous.tail = previous.tail, separator
    elif "\n" in separator:
        elements[-1].tail, parent.text = parent.text, separator
    parent[position + 1 : position + 1] = elements


def _end(parent: Element) -> int:
    """The last child, or the one before where the last one's line ends behind its parent."""
    last = len(parent) - 1
    is_shared = last > 0 and "\n" not in (parent[last].tail or "") and "\n" in (parent[last - 1].tail or "")
    return last - 1 if is_shared else last


def _separator(parent: Element, position: int) -> str:
    """What goes between a child and one that comes behind it: the line break that is there, or that is before it."""
    if position < 0:
        line = _last_line(parent.text)
        return line + (_unit(parent) or "  ") if line else ""
    if position + 1 < len(parent):
        return _last_line(parent[position].tail)
    return _line_before(parent, position)


def _line_before(parent: Element, position: int) -> str:
    return _last_line(parent[position - 1].tail if position else parent.text)


def _last_line(text: str | None) -> str:
    """The white space from the last line break on. Stray text between devices is not ours to repeat."""
    if not text or text.strip():
        return ""
    return "\n" + text.rpartition("\n")[2] if "\n" in text else text


def _indent(element: Element, unit: str, margin: str) -> None:
    """Lay out what is new all through."""
    etree.indent(element, unit, level=2)
    if margin != unit * 2:
        for inner in element.iter():
            inner.text = inner.text and inner.text.replace(f"\n{unit * 2}", f"\n{margin}")
            inner.tail = inner.tail and inner.tail.replace(f"\n{unit * 2}", f"\n{margin}")


def _lay_out(parent: Element, element: Element) -> None:
    """Put what was added to an element on lines of its own, where the document has lines; what was there stays."""
    unit = _unit(parent)
    if unit:
        margin = _line_before(parent, parent.index(element)).rpartition("\n")[2]
        _lay_out_added(element, margin, unit)


def _lay_out_added(element: Element, margin: str, unit: str) -> None:
    children = list(element)
    # Only what was read from a document has a line there.
    added = [child for child in children if child.sourceline is None and not child.tail]
    kept = [child for child in children if child not in added]
    text = element.text or ""
    if not children:
        return
    if not kept:
        text = f"\n{margin}{unit}"
    elif "\n" not in text:
        return
    inner = text.rpartition("\n")[2]
    if added:
        end = f"\n{margin}"
        if kept and children[-1] in added:
            end, kept[-1].tail = kept[-1].tail or end, text
        element.text = text
        for child in added:
            child.tail = end if child is children[-1] else text
    for child in children:
        _lay_out_added(child, inner, unit)


def _unit(devices: Element) -> str:
    """One step of indentation; empty for a document without line breaks, which stays without."""
    text = devices.text or ""
    if "\n" not in text or text.strip():
        return ""
    margin = text.rpartition("\n")[2]
    return margin[: max(1, len(margin) // 2)]
