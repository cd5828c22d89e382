"""Addresses of PCI functions by their routing ids: bus, slot and function in one number."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from domxml.pciaddress import PciAddress


def routing_id(address: str) -> int:
    """Bus, slot and function in one number."""
    parsed = PciAddress.parse(address)
    return parsed.bus << 8 | parsed.slot << 3 | parsed.function


def addresses(first: str) -> Iterable[str]:
    """Addresses in the order of routing ids, beginning with one."""
    domain = PciAddress.parse(first).domain
    for number in count(routing_id(first)):
        yield str(PciAddress(domain, number >> 8, number >> 3 & 31, number & 7))
