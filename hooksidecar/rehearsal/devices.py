"""What a domain says of its devices: of ours fact by fact, so that losses can be named; of the others their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from domxml import alias as aliases
from domxml.document import Domain, Element
from domxml.pciaddress import PciAddress

LEFT = "left to libvirt"
DEEPEST = 8
"""Buses above a device; no guest has as many."""
_NOT_FACTS = frozenset({"address", "source", "alias"})


class Seen(NamedTuple):
    """A device of ours in a domain."""

    alias: str
    source: str
    guest: str
    facts: frozenset[str]
    """Such as `rom bar=off`."""


def touched_devices(given: bytes, answered: bytes) -> frozenset[str]:
    """The aliases of the hostdevs that a hook added, or changed in more than what libvirt would write itself."""
    before = {alias: _changes(hostdev) for alias, hostdev in _hostdevs(Domain.parse(given))}
    after = {alias: _changes(hostdev) for alias, hostdev in _hostdevs(Domain.parse(answered))}
    return frozenset(alias for alias, found in after.items() if aliases.is_ours(alias) or before.get(alias) != found)


def devices_of(xml: bytes, ours: frozenset[str]) -> dict[str, Seen]:
    """The hostdevs with these aliases, by alias."""
    domain = Domain.parse(xml)
    return {
        alias: Seen(alias, _source(hostdev), _guest(hostdev), frozenset(_facts(hostdev, domain)))
        for alias, hostdev in _hostdevs(domain)
        if alias in ours
    }


def other_devices(xml: bytes, ours: frozenset[str]) -> dict[str, str]:
    """The guest addresses of all other devices, but for the ports that are there for devices to sit on."""
    found: dict[str, str] = {}
    count: Counter[str] = Counter()
    for device in Domain.parse(xml).devices.iterchildren(etree.Element):
        address = device.find("address")
        port = device.tag == "controller" and device.get("type") == "pci"
        if port or address is None or address.get("type") != "pci" or _alias(device) in ours:
            continue
        name = _name(device)
        count[name] += 1
        found[name if count[name] == 1 else f"{name} {count[name]}"] = _guest(device)
    return found


def _hostdevs(domain: Domain) -> Iterator[tuple[str, Element]]:
    yield from ((_alias(hostdev), hostdev) for hostdev in domain.devices.iterchildren("hostdev"))


def _changes(hostdev: Element) -> frozenset[str]:
    return frozenset({_guest(hostdev), *_own_facts(hostdev)} - {"mode=subsystem"})


def _facts(hostdev: Element, domain: Domain) -> Iterator[str]:
    yield from _own_facts(hostdev)
    yield from _facts_above(hostdev, domain)


def _own_facts(hostdev: Element) -> Iterator[str]:
    yield from (f"{name!s}={value!s}" for name, value in hostdev.items())
    for child in hostdev.iterdescendants(etree.Element):
        if child.tag not in _NOT_FACTS:
            yield from (f"{child.tag!s} {name!s}={value!s}" for name, value in child.items())
    address = hostdev.find("address")
    if address is not None and address.get("multifunction"):
        yield f"address multifunction={address.get('multifunction')}"


def _facts_above(device: Element, domain: Domain) -> Iterator[str]:
    """Of the expander bus that it sits behind: number and node."""
    controllers = {c.get("index"): c for c in domain.devices.iterchildren("controller") if c.get("type") == "pci"}
    for _ in range(DEEPEST):
        address = device.find("address")
        above = None if address is None else controllers.get(str(int(address.get("bus") or "0", 0)))
        if above is None or above is device:
            return
        device = above
        for target in above.iterfind("target[@busNr]"):
            yield f"expander busNr={target.get('busNr')}"
            yield from (f"expander node={node.text}" for node in target.iterfind("node"))


def _source(hostdev: Element) -> str:
    address = hostdev.find("source/address")
    if address is None:
        return "-"
    return address.get("uuid") or str(PciAddress.from_attributes(address.attrib))


def _guest(device: Element) -> str:
    address = device.find("address")
    if address is None:
        return LEFT
    if address.get("type") != "pci":
        return str(address.get("type"))
    return str(PciAddress.from_attributes(address.attrib))


def _alias(device: Element) -> str:
    alias = device.find("alias")
    return "" if alias is None else alias.get("name", "")


def _name(device: Element) -> str:
    """What tells it from others, before libvirt has seen it and after."""
    if aliases.is_legal(_alias(device)):
        return f"{device.tag!s} {_alias(device)}"
    if device.tag == "controller":
        return f"controller {device.get('type')} {device.get('index', '0')}"
    target = device.find("target")
    return " ".join(filter(None, (str(device.tag), "" if target is None else target.get("dev", ""))))
