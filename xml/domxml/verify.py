"""Read back what was written: nothing that libvirt would refuse or drop, nothing that QEMU or the guest refuses."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import cast

from lxml import etree

from domxml import alias as aliases
from domxml import attributes
from domxml.apply import ADDED, Change
from domxml.conflicts import AP
from domxml.document import Domain, DomainDevice, Element
from domxml.errors import Refused
from domxml.guestpci.machines import ENDPOINT, MODELS, PCI_BRIDGE, compatible
from domxml.guestpci.topology import Device, pci_controllers
from domxml.pciaddress import PciAddress
from domxml.placement.room import PlacedController
from domxml.source import Mdev

CODE = "output-would-not-work"
HINT = "nothing was changed; please report this domain"

_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,4}", re.ASCII)
_UNIQUE = (
    ("alias", "name", "alias", etree.XPath("devices/*/alias/@name", smart_strings=False)),
    ("boot", "order", "bootOrder", etree.XPath("devices/*/boot/@order", smart_strings=False)),
    # Of a matrix of crypto queues libvirt says no ACPI index to QEMU.
    ("acpi", "index", "acpiIndex", etree.XPath(f"devices/*[not(@model='{AP}')]/acpi/@index", smart_strings=False)),
)
"""Child element, attribute and word of what libvirt or QEMU refuses to see twice."""
_ADDRESSES = etree.XPath(
    "devices/*[not(self::console) and not(@model='none' and (self::memballoon or @type='usb'))]/address[1][@type='pci']"
)
"""Where devices are: the console of a serial port is that port once more, and libvirt forgets where `none` is."""


def verify(domain: Domain, changes: Sequence[Change], controllers: Sequence[PlacedController]) -> None:
    """Refuse what was read back, whole, for the first thing that is wrong with it.

    Only our own part is judged; the base is libvirt's to judge.
    """
    held = domain.host_devices
    for change in changes:
        holder = held.get(change.placed.function.device)
        if holder is None or not holder.is_hostdev:
            raise _wrong(change.alias, "the device is not in the output")
        for problem in _of_device(holder, change):
            raise _wrong(change.alias, problem)
    tree = _Tree(domain)
    for change in changes:
        for problem in tree.of_device(held[change.placed.function.device], change):
            raise _wrong(change.alias, problem)
    for controller in controllers:
        for problem in tree.of_controller(controller):
            raise _wrong(controller.label, problem)


def _wrong(subject: str, problem: str) -> Refused:
    return Refused(CODE, problem, subject=subject, hint=HINT)


def _of_device(holder: DomainDevice, change: Change) -> Iterator[str]:
    element, placed = holder.element, change.placed
    kind = "mdev" if isinstance(holder.device, Mdev) else "pci"
    if element.get("mode", "subsystem") != "subsystem" or element.get("type") != kind:
        yield "the hostdev has lost its mode or type"
    asked = placed.function.attributes.get("managed", attributes.KEEP)
    if change.action == ADDED and asked == attributes.KEEP and element.get("managed") != "no":
        yield "the hostdev has lost managed='no'; libvirt would take the device away from the host itself"
    if not aliases.is_legal(holder.alias):
        yield "the hostdev has no alias that libvirt keeps; virt-launcher would crash on it"
    lost = attributes.missing(element, placed.function.attributes)
    if lost:
        yield f"the hostdev has lost {', '.join(lost)}"
    if placed.address is not None:
        address = element.find("address")
        if address is None or PciAddress.from_attributes(address) != placed.address:
            yield f"the hostdev is not at guest address {placed.address}"


class _Tree:
    """The guest's PCI tree as it was written, as far as ours can collide with something."""

    def __init__(self, domain: Domain) -> None:
        self.root = domain.root
        self.controllers = {controller.index: controller for controller in pci_controllers(domain)}
        self.owners: dict[PciAddress, list[Element]] = defaultdict(list)
        for element in cast("list[Element]", _ADDRESSES(domain.root)):
            self.owners[PciAddress.from_attributes(element)].append(element)
        self.numbers: dict[str, Counter[str]] = {}

    @cached_property
    def chassis(self) -> Counter[tuple[str, str]]:
        """How many root ports have each chassis and port: where none is written, index and address make them."""
        ports = (c for c in self.controllers.values() if c.model == "pcie-root-port" and c.address is not None)
        return Counter(map(_chassis_and_port, ports))

    def of_device(self, holder: DomainDevice, change: Change) -> Iterator[str]:
        for tag, name, word, values in _UNIQUE:
            child = holder.element.find(tag)
            if child is None or holder.element.get("model") == AP:
                continue
            if self._count(word, values)[child.get(name, "")] > 1:
                yield f"two devices have this {word}"
        if change.placed.address is not None:
            yield from self._of_address(change.placed.address)

    def _count(self, word: str, values: etree.XPath) -> Counter[str]:
        """How many devices have each; looked for once, where one of ours has one."""
        if word not in self.numbers:
            self.numbers[word] = Counter(cast("list[str]", values(self.root)))
        return self.numbers[word]

    def _of_address(self, address: PciAddress) -> Iterator[str]:
        if len(self.owners[address]) > 1:
            yield f"Attempted double use of PCI Address {address}"
        first = self.owners[address.slot_address]
        if not first:
            yield "function 0 of its guest slot is empty; the guest would not look further"
        elif address.function and first[0].get("multifunction") == "off":
            yield "function 0 of its guest slot has multifunction='off'; QEMU refuses the others"
        bus = self.controllers.get(address.bus)
        if bus is None and address.bus:
            yield f"there is no PCI controller with index {address.bus}"
        elif bus is not None and bus.model in MODELS and not MODELS[bus.model].accepts & ENDPOINT:
            yield f"PCI controller {address.bus} takes no devices"

    def of_controller(self, placed: PlacedController) -> Iterator[str]:
        address = placed.address
        written = self.controllers.get(placed.number)
        if written is None or written.model != placed.model:
            yield "the controller is not in the output"
            return
        if written.address != address:
            yield f"the controller is not at guest address {address}"
        if len(self.owners[address]) > 1:
            yield f"Attempted double use of PCI Address {address}"
        model, parent = MODELS[placed.model], self.controllers.get(address.bus)
        if parent is None and address.bus:
            yield f"there is no PCI controller with index {address.bus}"
        elif parent is not None and parent.model in MODELS:
            accepts = MODELS[parent.model].accepts
            if not compatible(accepts, model.plugs_as, bus_index=address.bus, from_config=True):
                yield f"a {model.name} cannot be plugged into a {parent.model}"
        if model.plugs_as & PCI_BRIDGE and placed.number <= address.bus:
            yield f"its index must be larger than its bus {address.bus}"
        if model.name == "pcie-root-port" and self.chassis[key := _chassis_and_port(written)] > 1:
            yield f"chassis {key[0]} and port {key[1]} are taken already; QEMU refuses them"


def _chassis_and_port(controller: Device) -> tuple[str, str]:
    target, address = controller.kids.get("target"), controller.address
    chassis = None if target is None else target.get("chassis")
    port = None if target is None else target.get("port")
    if port is None and address is not None:
        port = str(address.slot << 3 | address.function)
    return chassis or str(controller.index), str(int(port, 16) if port and _HEX.fullmatch(port) else port)
