"""Where each device of a domain sits in the guest, under keys that stay when the domain is rewritten."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import TypeAlias

from lxml import etree

from domxml.pciaddress import PciAddress

Addresses: TypeAlias = Mapping[str, PciAddress | None]
"""None for a device that has no PCI address, or none yet."""

Element: TypeAlias = etree._Element

NO_ADDRESS = PciAddress(0, 0, 0, 0)
"""What libvirt takes for 'not given'."""

_KEPT_ALIAS = re.compile(r"ua-[A-Za-z0-9_-]+")
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def guest_addresses(xml: bytes) -> Addresses:
    """Every device of the domain and its guest PCI address, in the order of the document."""
    addresses: dict[str, PciAddress | None] = {}
    seen: Counter[str] = Counter()
    for name, device in _named(etree.fromstring(xml, _PARSER)):
        seen[name] += 1
        key = name if seen[name] == 1 else f"{name}#{seen[name]}"
        addresses[key] = _address(device)
    return addresses


def moved(before: Addresses, after: Addresses) -> dict[str, tuple[PciAddress, PciAddress | None]]:
    """The devices of `before` that sit elsewhere in `after`, or nowhere: from where to where."""
    return {
        key: (address, after.get(key))
        for key, address in before.items()
        if address is not None and after.get(key) != address
    }


def _named(root: Element) -> Iterator[tuple[str, Element]]:
    devices = [device for device in root.iterfind("devices/*") if isinstance(device.tag, str)]
    indexes = _controller_indexes(device for device in devices if device.tag == "controller")
    for device in devices:
        if device.tag == "controller":
            yield f"controller:{device.get('type')}:{indexes[device]}", device
        elif device.tag != "emulator":
            yield ":".join(part for part in (device.tag, *_identity(device)) if part), device


def _identity(device: Element) -> tuple[str, ...]:
    """What tells a device from others of its tag. A MAC does not: libvirt makes a new one wherever none is written."""
    match device.tag:
        case "disk":
            return (_attribute(device, "target", "dev"),)
        case "filesystem":
            return (_attribute(device, "target", "dir"),)
        case "hostdev":
            return device.get("type", ""), _source(device)
        case "input":
            return (device.get("type", ""),)
        case _:
            alias = _attribute(device, "alias", "name")
            return (alias if _KEPT_ALIAS.fullmatch(alias) else "",)


def _source(hostdev: Element) -> str:
    address = hostdev.find("source/address")
    if address is None:
        return ""
    return address.get("uuid") or (str(PciAddress.from_attributes(address)) if hostdev.get("type") == "pci" else "")


def _controller_indexes(controllers: Iterable[Element]) -> dict[Element, int]:
    """As libvirt numbers them: a controller without an index takes the lowest one that nobody of its type has."""
    of_type: dict[str | None, list[Element]] = {}
    for controller in controllers:
        of_type.setdefault(controller.get("type"), []).append(controller)
    indexes: dict[Element, int] = {}
    for group in of_type.values():
        written = {controller: int(index) for controller in group if (index := controller.get("index")) is not None}
        free = (index for index in count() if index not in written.values())
        indexes |= {controller: written[controller] if controller in written else next(free) for controller in group}
    return indexes


def _address(device: Element) -> PciAddress | None:
    element = device.find("address")
    if element is None or element.get("type") != "pci":
        return None
    address = PciAddress.from_attributes(element)
    return None if address == NO_ADDRESS else address


def _attribute(device: Element, child: str, name: str) -> str:
    element = device.find(child)
    return "" if element is None else element.get(name, "")
