"""What a domain says of the devices that we put there, fact by fact, so that losses can be named."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from domxml import alias as aliases
from domxml.document import Domain, Element
from domxml.pciaddress import PciAddress


def facts(xml: bytes) -> set[str]:
    """One line a fact, such as `ua-passgate-qat rom bar=off`."""
    return {f"{alias} {fact}" for alias, hostdev in _ours(xml) for fact in _facts(hostdev)}


def places(xml: bytes) -> dict[str, str]:
    """The guest address of each, by alias, as it is written."""
    found = {}
    for alias, hostdev in _ours(xml):
        address = hostdev.find("address")
        found[alias] = "left to libvirt" if address is None else str(PciAddress.from_attributes(address.attrib))
    return found


def _ours(xml: bytes) -> Iterator[tuple[str, Element]]:
    for hostdev in Domain.parse(xml).devices.iterchildren("hostdev"):
        alias = hostdev.find("alias")
        name = "" if alias is None else alias.get("name", "")
        if aliases.is_ours(name):
            yield name, hostdev


def _facts(hostdev: Element) -> Iterator[str]:
    yield from (f"{name!s}={value!s}" for name, value in hostdev.items())
    for child in hostdev.iterdescendants(etree.Element):
        if child.tag not in {"address", "source", "alias"}:
            yield from (f"{child.tag!s} {name!s}={value!s}" for name, value in child.items())
