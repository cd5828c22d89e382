"""What a Linux guest calls a device: the bus numbers that firmware deals out, and the names udev makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from domxml.document import Domain, Element
from domxml.guestpci.implicit import disk_index
from domxml.pciaddress import PciAddress

_PCIE = ("q35", "virt")
_BY_PATH = "/dev/disk/by-path/pci-"
_SATA_PORTS, _SCSI_UNITS = 6, 7
"""What libvirt puts onto the first controller of a kind."""


class GuestBuses:
    """The number of each bus as the guest counts: through the tree, by slot and function, not by libvirt's index."""

    def __init__(self, domain: Domain) -> None:
        self._below: dict[int, list[tuple[PciAddress, int]]] = {}
        self._numbers: dict[int, int] = {0: 0}
        self._roots: list[tuple[int, int]] = []
        self.controllers: dict[str, PciAddress] = {}
        """The first of each kind that disks hang on."""
        for controller in domain.devices.iterchildren("controller"):
            index, address = controller.get("index", ""), guest_address_of(controller)
            if controller.get("type") in {"sata", "scsi"} and index == "0" and address is not None:
                self.controllers[controller.get("type", "")] = address
            if controller.get("type") != "pci" or not index.isdecimal() or address is None:
                continue
            self._below.setdefault(address.bus, []).append((address, int(index)))
            target = controller.find("target[@busNr]")
            first = "" if target is None else target.get("busNr", "")
            if first.isdecimal():
                self._roots.append((int(index), int(first)))
        expanders = {expander for expander, _ in self._roots}
        self._count(0, 0, expanders)
        for expander, number in self._roots:
            self._numbers[expander] = number
            self._count(expander, number, expanders)

    def _count(self, bus: int, number: int, expanders: set[int]) -> int:
        for _, child in sorted(self._below.get(bus, ())):
            if child not in expanders and child not in self._numbers:
                number += 1
                self._numbers[child] = number
                number = self._count(child, number, expanders)
        return number

    def address(self, address: PciAddress) -> PciAddress:
        """Where the guest itself sees a device."""
        return address._replace(bus=self._numbers.get(address.bus, address.bus))


def guest_address_of(element: Element) -> PciAddress | None:
    """The PCI address that is written below a device."""
    address = element.find("address")
    if address is None or address.get("type") != "pci" or not address.get("slot"):
        return None
    return PciAddress.from_attributes(address)


def guest_name(element: Element, buses: GuestBuses, machine: str) -> str:
    """The name of a NIC, the path of a disk; empty for what udev names otherwise, or not at all."""
    address = guest_address_of(element)
    if element.tag == "interface" or _is_vf(element):
        return "" if address is None else _nic(element, buses.address(address), machine)
    if element.tag == "disk":
        return _disk(element, address, buses)
    return ""


def _disk(element: Element, address: PciAddress | None, buses: GuestBuses) -> str:
    if address is not None:
        return f"{_BY_PATH}{buses.address(address)}"
    target = element.find("target")
    bus = "" if target is None else target.get("bus", "")
    index = disk_index({} if target is None else {"target": target})
    above = buses.controllers.get(bus)
    if above is None or index < 0:
        return ""
    if bus == "sata" and index < _SATA_PORTS:
        return f"{_BY_PATH}{buses.address(above)}-ata-{index + 1}"
    if bus == "scsi" and index < _SCSI_UNITS:
        # Unit 7 is the controller's own.
        return f"{_BY_PATH}{buses.address(above)}-scsi-0:0:0:{index + (index >= 7)}"
    return ""


def _is_vf(element: Element) -> bool:
    alias = element.find("alias")
    return element.tag == "hostdev" and alias is not None and alias.get("name", "").startswith("ua-sriov-")


def _nic(element: Element, address: PciAddress, machine: str) -> str:
    acpi = element.find("acpi")
    if acpi is not None and acpi.get("index"):
        return f"eno{acpi.get('index')}"
    written = element.find("address")
    several = address.function or (written is not None and written.get("multifunction") == "on")
    tail = f"f{address.function}" if several else ""
    if not any(name in machine for name in _PCIE):
        # On i440fx each slot of bus 0 has a number of ACPI's, and names by slot come before names by path.
        return f"ens{address.slot}{tail}"
    return f"enp{address.bus}s{address.slot}{tail}"


def names(domain: Domain) -> Mapping[Element, str]:
    """Every name that is known."""
    return dict(_names(domain))


def _names(domain: Domain) -> Iterator[tuple[Element, str]]:
    buses = GuestBuses(domain)
    kind = domain.os_type
    machine = "" if kind is None else kind.get("machine", "")
    if kind is not None and kind.get("arch") == "s390x":
        return
    for element in domain.devices.iterchildren("interface", "hostdev", "disk"):
        name = guest_name(element, buses, machine)
        if name:
            yield element, name
