"""Short ways to say what tests wish for."""

from __future__ import annotations

from typing import Any

from lxml import etree

from domxml.alias import alias_for
from domxml.document import Domain
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress
from domxml.source import parse_host_device
from domxml.transform import Transformed, transform


def wish(name: str, source: str, guest: str = "", *, node: int | None = None, **attributes: Any) -> GuestSlot:
    """One device in a slot of its own."""
    asked = PciAddress.parse(guest) if guest else None
    settings = {key.replace("_", "."): value for key, value in attributes.items()}
    member = GuestFunction(parse_host_device(source), alias_for(name), asked.function if asked else 0, settings)
    return GuestSlot(name, (member,), asked, node)


def multifunction(name: str, source: str, functions: int, guest: str = "") -> GuestSlot:
    """The first functions of a host slot as one guest device."""
    first = PciAddress.parse(source)
    members = tuple(
        GuestFunction(first.with_function(number), alias_for(name if number == 0 else f"{name}-{number}"), number)
        for number in range(functions)
    )
    return GuestSlot(name, members, PciAddress.parse(guest) if guest else None)


def tree_of(xml: bytes | str) -> Any:
    """Parse; an element that a test does not find there fails it as it should."""
    return etree.fromstring(xml)


def inject(xml: bytes, *wishes: GuestSlot) -> Transformed:
    """The whole transform, from bytes."""
    return transform(Domain.parse(xml), wishes)


def guest_of(result: Transformed) -> dict[str, str]:
    """Guest address by alias."""
    return {change.alias: str(change.placed.address) for change in result.changes}
