"""Where a guest has its host devices: as a domain's XML says it, and as QEMU itself shows it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from domxml.pciaddress import PciAddress
from tests.vmhost.inside.patience import PATIENCE

OURS = "ua-passgate-"
PAUSE = 0.5
_DEVICE = re.compile(r"Bus +(\d+), device +(\d+), function (\d+):((?:(?!\n +Bus)[\s\S])*)")
_MAPPED = re.compile(r"BAR0: .* at 0x")
_ID = re.compile(r'id "([^"]*)"')

Places = Mapping[str, str]


def places(xml: str) -> Places:
    """The guest addresses of the devices that Passgate put there, by alias."""
    found = {}
    for element in _parsed(xml).iterfind("devices/hostdev"):
        alias = element.find("alias")
        if alias is not None and alias.get("name", "").startswith(OURS):
            found[alias.get("name", "")] = _address(element.find("address"))
    return found


def sources(xml: str) -> Places:
    """The guest addresses of all host devices, by the device's address on the host."""
    found = {}
    for element in _parsed(xml).iterfind("devices/hostdev"):
        found[_address(element.find("source/address"))] = _address(element.find("address"))
    return found


def everything(xml: str) -> list[str]:
    """Everything that has a guest PCI address, and where, in the order of addresses."""
    found = [
        (_address(address), " ".join([element.tag, *filter(None, map(element.get, ("type", "model", "index")))]))
        for element in _parsed(xml).iterfind("devices/*")
        if (address := element.find("address[@type='pci']")) is not None
    ]
    return [f"{what} at {address}" for address, what in sorted(found)]


def expanders(xml: str) -> Mapping[int, str]:
    """The guest node of each expander bus, by the bus number that the firmware starts to count at."""
    targets = _parsed(xml).iterfind("devices/controller[@model='pcie-expander-bus']/target")
    return {int(target.get("busNr", "0")): target.findtext("node", "") for target in targets}


def nodes(xml: str) -> Places:
    """The guest node of each host device that is below an expander bus, by the device's address on the host."""
    parsed = _parsed(xml)
    controllers = {int(one.get("index", "0")): one for one in parsed.iterfind("devices/controller[@type='pci']")}
    found = {}
    for element in parsed.iterfind("devices/hostdev"):
        port = controllers[_bus(element)]
        expander = controllers[_bus(port)]
        found[_address(element.find("source/address"))] = expander.findtext("target/node", "none")
    return found


def seen_by_qemu(running: Any, wanted: Places) -> Places:
    """Let the guest's firmware number the buses, and have QEMU's monitor show where these devices are."""
    running.resume()
    seen: Places = {}
    for _ in range(int(PATIENCE / PAUSE)):
        seen = {alias: place for alias, place in _settled(monitor(running, "info pci")).items() if alias in wanted}
        if len(seen) == len(wanted):
            break
        time.sleep(PAUSE)
    return seen


def monitor(running: Any, command: str) -> str:
    """A command of QEMU's monitor for people."""
    import libvirt_qemu  # noqa: PLC0415  there only where libvirt is

    return str(libvirt_qemu.qemuMonitorCommand(running, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP))


def shown(places: Places) -> str:
    """On one line."""
    return ", ".join(f"{name} at {place}" for name, place in sorted(places.items())) or "no device"


def _settled(text: str) -> Places:
    """Devices whose memory is mapped: before that, the firmware still tries bus numbers."""
    found = {}
    for bus, slot, function, rest in _DEVICE.findall(text):
        names = _ID.findall(rest)
        if names and _MAPPED.search(rest):
            found[names[-1]] = str(PciAddress(0, int(bus), int(slot), int(function)))
    return found


def _parsed(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314  libvirt's own, or ours


def _bus(element: ET.Element) -> int:
    address = element.find("address")
    return 0 if address is None else int(address.get("bus", "0"), 16)


def _address(element: ET.Element | None) -> str:
    return "nowhere" if element is None else str(PciAddress.from_attributes(element.attrib))
