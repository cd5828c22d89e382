"""Read back what was written: nothing that libvirt would refuse or drop, nothing that QEMU or the guest refuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from lxml import etree

from domxml import alias as aliases
from domxml import attributes
from domxml.apply import Change
from domxml.document import Domain, Element
from domxml.errors import Refused
from domxml.guestpci.buses import ENDPOINT, MODELS, PCI_BRIDGE, compatible
from domxml.pciaddress import PciAddress
from domxml.placement.values import PlacedController
from domxml.source import Mdev

CODE = "output-would-not-work"
HINT = "nothing was changed; please report this domain"

_ADDRESSES = etree.XPath("devices/*/address[@type='pci']")
_CONTROLLERS = etree.XPath("devices/controller[@type='pci' and @index]")
_CHASSIS = etree.XPath("boolean(devices/controller/target[@chassis or @port])")
_UNIQUE = (
    ("alias", etree.XPath("devices/*/alias/@name", smart_strings=False)),
    ("acpiIndex", etree.XPath("devices/*/acpi/@index", smart_strings=False)),
    ("bootOrder", etree.XPath("devices/*/boot/@order", smart_strings=False)),
)
"""What libvirt or QEMU refuses to see twice."""


def verify(domain: Domain, changes: Sequence[Change], controllers: Iterable[PlacedController]) -> None:
    """Refuse what was read back, whole, for the first thing that is wrong with it."""
    held = domain.host_devices
    for change in changes:
        holder = held.get(change.placed.function.device)
        if holder is None or not holder.is_hostdev:
            raise _wrong(change.alias, "the device is not in the output")
        _check_device(holder.element, change)
    tree = _Tree(domain)
    for controller in controllers:
        written = tree.controllers.get(controller.number)
        if written is None or written.get("model") != controller.model:
            raise _wrong(controller.label, "the controller is not in the output")
        if tree.seats.get(controller.address) is not written:
            raise _wrong(controller.label, f"the controller is not at guest address {controller.address}")
    for subject, problem in tree.problems(changes):
        raise _wrong(subject, problem)


def _wrong(subject: str, problem: str) -> Refused:
    return Refused(CODE, problem, subject=subject, hint=HINT)


def _check_device(element: Element, change: Change) -> None:
    placed = change.placed
    member = placed.function
    kind = "mdev" if isinstance(member.device, Mdev) else "pci"
    if (element.get("mode"), element.get("type"), element.get("managed")) != ("subsystem", kind, "no"):
        raise _wrong(change.alias, "the hostdev has lost its mode, type or managed attribute")
    alias = element.find("alias")
    if alias is None or not aliases.is_legal(alias.get("name", "")):
        raise _wrong(change.alias, "the hostdev has no alias that libvirt keeps; virt-launcher would crash on it")
    lost = attributes.missing(element, member.attributes)
    if lost:
        raise _wrong(change.alias, f"the hostdev has lost {', '.join(lost)}")
    if placed.address is not None:
        address = element.find("address")
        if address is None or PciAddress.from_attributes(address) != placed.address:
            raise _wrong(change.alias, f"the hostdev is not at guest address {placed.address}")


class _Tree:
    """The guest's PCI tree as it was written. Only our own part is judged; the base is libvirt's to judge."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.controllers: dict[int, Element] = {}
        for element in cast("list[Any]", _CONTROLLERS(domain.root)):
            self.controllers[int(element.get("index"))] = element
        self.seats: dict[PciAddress, Element] = {}
        self.doubles: dict[PciAddress, list[Element]] = {}
        for written in cast("list[Any]", _ADDRESSES(domain.root)):
            address = PciAddress.from_attributes(written)
            if address.domain or address.bus or address.slot:
                element = written.getparent()
                if self.seats.setdefault(address, element) is not element:
                    self.doubles.setdefault(address, []).append(element)

    def problems(self, changes: Sequence[Change]) -> Iterator[tuple[str, str]]:
        """What libvirt, QEMU or the guest would not take."""
        for change in changes:
            if change.placed.address is not None:
                for problem in self._of_address(change.placed.address):
                    yield change.alias, problem
        yield from self._of_controllers()
        for words, find in _UNIQUE:
            values = cast("list[str]", find(self.domain.root))
            if len(set(values)) != len(values):
                value = next(value for value in values if values.count(value) > 1)
                yield value, f"two devices have this {words}"
        yield from self._of_display(changes)

    def _of_address(self, address: PciAddress) -> Iterator[str]:
        if address in self.doubles:
            yield f"Attempted double use of PCI Address {address}"
        first = self.seats.get(address.with_function(0))
        if first is None:
            yield "function 0 of its guest slot is empty; the guest would not look further"
        elif address.function and _multifunction(first) == "off":
            yield "function 0 of its guest slot has multifunction='off'; QEMU refuses the others"
        bus = self.controllers.get(address.bus)
        if bus is None and address.bus:
            yield f"there is no PCI controller with index {address.bus}"
        elif bus is not None and not MODELS[bus.get("model", "")].accepts & ENDPOINT:
            yield f"PCI controller {address.bus} takes no devices"

    def _of_controllers(self) -> Iterator[tuple[str, str]]:
        # Where nobody writes chassis or port, libvirt derives them from index and address: they cannot collide.
        written = bool(_CHASSIS(self.domain.root))
        chassis: set[tuple[str, str]] = set()
        where = {element: address for address, element in self.seats.items()}
        for index, element in self.controllers.items():
            address = where.get(element)
            if address is None:
                continue
            name = f"PCI controller {index}"
            if address in self.doubles:
                yield name, f"Attempted double use of PCI Address {address}"
            model = MODELS[element.get("model", "")]
            parent = self.controllers.get(address.bus)
            if parent is not None:
                accepts = MODELS[parent.get("model", "")].accepts
                if not compatible(accepts, model.plugs_as, bus_index=address.bus, from_config=True):
                    yield name, f"a {model.name} cannot be plugged into a {parent.get('model')}"
            if model.plugs_as & PCI_BRIDGE and index <= address.bus:
                yield name, f"its index must be larger than its bus {address.bus}"
            if written and model.name == "pcie-root-port":
                key = _chassis_and_port(element, index, address)
                if key in chassis:
                    yield name, f"chassis {key[0]} and port {key[1]} are taken already; QEMU refuses them"
                chassis.add(key)

    def _of_display(self, changes: Sequence[Change]) -> Iterator[tuple[str, str]]:
        asked = {key: change.alias for change in changes for key in change.placed.function.attributes}
        devices = self.domain.devices
        if "display" in asked and devices.find("graphics") is None and _count(devices, "display"):
            yield asked["display"], "display='on' needs a graphics device in the VM"
        if "ramfb" in asked and _count(devices, "ramfb") > 1:
            yield asked["ramfb"], "only one device of a VM can have ramfb='on'"
        if sum(element.get("model") == "vfio-ap" for element in devices.iterchildren("hostdev")) > 1:
            yield "vfio-ap", "a VM can have one hostdev of model vfio-ap only; put its queues into one mediated device"
        if "bootOrder" in asked and self.domain.root.find("os/boot") is not None:
            yield asked["bootOrder"], "the domain has <os><boot>; libvirt refuses boot orders of devices beside it"


def _count(devices: Element, attribute: str) -> int:
    return sum(element.get(attribute) == "on" for element in devices.iterchildren("hostdev"))


def _multifunction(element: Element) -> str:
    address = element.find("address")
    return "" if address is None else address.get("multifunction", "")


def _chassis_and_port(element: Element, index: int, address: PciAddress) -> tuple[str, str]:
    target = element.find("target")
    chassis = None if target is None else target.get("chassis")
    port = None if target is None else target.get("port")
    number = address.slot << 3 | address.function if port is None else int(port, 0)
    return chassis or str(index), str(number)
