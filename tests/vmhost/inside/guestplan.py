"""Where a guest's kernel will have the devices that a domain's XML gives it.

Libvirt counts buses by their controllers. So does the firmware on the main bus, where our ports stand in the order of
their indexes; below an expander bus it counts from the number that the expander was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from xml.etree import ElementTree as ET

from domxml.pciaddress import PciAddress
from tests.vmhost.inside import guest

NO_NODE = -1


class Place(NamedTuple):
    """An address and a NUMA node."""

    address: str
    node: int = NO_NODE


class _Controller(NamedTuple):
    number: int
    address: PciAddress
    bus_number: int | None
    node: int


def kernel_places(xml: str) -> Mapping[str, Place]:
    """Every device that Passgate put there, by alias."""
    controllers = _controllers(xml)
    return {alias: _kernel_place(PciAddress.parse(at), controllers) for alias, at in guest.places(xml).items()}


def _kernel_place(device: PciAddress, controllers: Mapping[int, _Controller]) -> Place:
    port = controllers[device.bus]
    expander = controllers.get(port.address.bus)
    if expander is None or expander.bus_number is None:
        return Place(str(device))
    below = sorted(one.address for one in controllers.values() if one.address.bus == expander.number)
    bus = expander.bus_number + 1 + below.index(port.address)
    return Place(str(device._replace(bus=bus)), expander.node)


def _controllers(xml: str) -> Mapping[int, _Controller]:
    found = {}
    for element in ET.fromstring(xml).iterfind("devices/controller[@type='pci']"):  # noqa: S314  our own
        address, target = element.find("address"), element.find("target[@busNr]")
        if address is not None:
            number = None if target is None else int(target.get("busNr", ""))
            node = NO_NODE if target is None else int(target.findtext("node", str(NO_NODE)))
            index = int(element.get("index", ""))
            found[index] = _Controller(index, PciAddress.from_attributes(address.attrib), number, node)
    return found
