"""The guest addresses that virt-launcher itself writes: everything on bus 0, or host devices on their NUMA nodes."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from domxml.document import Element
from domxml.errors import Refused
from domxml.pciaddress import PciAddress
from hostdev.kubevirt.changes import NUMA_OVERWRITES
from hostdev.kubevirt.hostdevices import guest_address
from hostdev.kubevirt.pod import Pod
from hostdev.kubevirt.releases import Release

_KEPT_FREE = (0x1B, 0x1F)
"""The chipset's sound and its other functions."""
_LAST_SLOT = 0x1F
_BUS_NUMBERS = 256


def place_on_root(devices: Sequence[Element]) -> None:
    """Put devices onto bus 0, one a slot; what has an address keeps it, and its slot is not kept free."""
    slot = 1
    for device in devices:
        if device.find("address[@type='pci']") is not None:
            continue
        slot += 1
        while slot in _KEPT_FREE:
            slot += 1
        if slot >= _LAST_SLOT:
            raise Refused(
                "root-complex-full",
                "it has more devices than bus 0 has slots, and virt-launcher would not start it",
                hint="take the annotation kubevirt.io/placePCIDevicesOnRootComplex away, or some devices",
            )
        device.append(guest_address(PciAddress(0, 0, slot, 0)))


def place_on_cells(
    hostdevs: Sequence[Element], controllers: Sequence[Element], release: Release, pod: Pod
) -> list[Element]:
    """Make an expander bus for every guest cell that has host devices, and behind it a root port for each."""
    groups: dict[int, list[tuple[str, Element]]] = {}
    for device in hostdevs:
        source = device.find("source/address[@slot]")
        if source is None or device.get("type") != "pci":
            continue
        address = str(PciAddress.from_attributes(source))
        cell = pod.cells.get(address)
        if cell is not None and (device.find("address") is None or NUMA_OVERWRITES.holds(release)):
            groups.setdefault(cell, []).append((address, device))
    index = max((int(controller.get("index", "0")) for controller in controllers), default=0)
    found: list[Element] = []
    for cell in sorted(groups):
        index += 1
        bus = index
        # Its ports have the numbers above its own.
        found.append(_expander(bus, _BUS_NUMBERS - len(found) - len(groups[cell]) - 1, cell))
        for slot, (_, device) in enumerate(sorted(groups[cell], key=lambda pair: pair[0])):
            index += 1
            port = etree.Element("controller", type="pci", index=str(index), model="pcie-root-port")
            port.append(guest_address(PciAddress(0, bus, slot, 0)))
            found.append(port)
            for stale in device.findall("address"):
                device.remove(stale)
            device.append(guest_address(PciAddress(0, index, 0, 0)))
    return found


def _expander(index: int, number: int, cell: int) -> Element:
    element = etree.Element("controller", type="pci", index=str(index), model="pcie-expander-bus")
    target = etree.SubElement(element, "target", busNr=str(number))
    etree.SubElement(target, "node").text = str(cell)
    return element
