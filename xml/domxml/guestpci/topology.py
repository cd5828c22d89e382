"""The guest's PCI tree as the document has it: controllers, devices, who sits where."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.document import Domain, Element
from domxml.errors import BadInput
from domxml.guestpci.connect import NONE, NOT_PCI, UNKNOWN, Step, connection, disk_bus, on_bus
from domxml.guestpci.machines import MODELS, MachineType, RootKind, machine_type
from domxml.pciaddress import PciAddress, read_number
from domxml.version import OLDEST, LibvirtVersion

MAX_INDEX = 255


class Device:
    """One element that may need a guest PCI address; libvirt's implicit ones have no element."""

    __slots__ = ("address", "element", "index", "kids", "kind", "model", "needs", "step", "wants")

    def __init__(self, element: Element | None, kids: dict[str, Element], needs: int, step: Step) -> None:
        self.element = element
        self.kids = kids
        self.needs = needs
        self.step = step
        self.kind = "" if element is None else element.get("type", "")
        self.model = "" if element is None else element.get("model", "")
        self.index = -1
        self.address, self.wants = _address(kids, needs)

    @property
    def label(self) -> str:
        """How messages name it: `interface ua-default`, `disk vda`, `controller usb 0`."""
        if self.element is None:
            return f"the {self.kind} {self.model}".rstrip() + " that libvirt adds"
        return label(self.element, self.kids)


class Topology:
    """All PCI devices of a domain, in document order."""

    __slots__ = ("controllers", "devices", "domain", "machine", "pcie")

    def __init__(self, domain: Domain, libvirt: LibvirtVersion = OLDEST) -> None:
        self.domain = domain
        self.machine: MachineType = machine_type(domain, libvirt)
        self.pcie = self.machine.root is RootKind.PCIE
        self.controllers: list[Device] = []
        self.devices: list[Device] = []
        for element in domain.devices:
            tag = element.tag
            if isinstance(tag, str):
                self._take(tag, element)
        _number_controllers(self.controllers)

    def beside(self, controllers: list[Device]) -> Topology:
        """The same devices, and these controllers behind those that are there."""
        other = Topology.__new__(Topology)
        other.domain, other.machine, other.pcie = self.domain, self.machine, self.pcie
        other.controllers, other.devices = [*self.controllers, *controllers], self.devices
        return other

    def _take(self, tag: str, element: Element) -> None:
        # The console of a serial port is that port once more, its address included.
        if tag in NOT_PCI and (tag == "console" or not _has_address(element)):
            return
        kids = _kids(element)
        if element.get("model") == "none" and (tag == "memballoon" or element.get("type") == "usb"):
            # Libvirt drops the address of what is not there; KubeVirt writes one, for a USB controller or a balloon.
            kids.pop("address", None)
        link = connection(tag, element, kids)
        # An address on a device that never needs one is still taken by libvirt, as a conventional PCI device.
        needs, step = link or (NONE, Step.PSTORE)
        device = Device(element, kids, on_bus(needs, pcie=self.pcie), step)
        if step is Step.PCI_CONTROLLER:
            self.controllers.append(device)
        elif link is not None or device.address is not None:
            self.devices.append(device)

    def __iter__(self) -> Iterator[Device]:
        yield from self.controllers
        yield from self.devices

    @property
    def max_index(self) -> int:
        """The highest PCI controller index in the document; -1 without any."""
        return max((controller.index for controller in self.controllers), default=-1)

    def controller(self, index: int) -> Device | None:
        """The PCI controller that is bus `index`."""
        return next((c for c in self.controllers if c.index == index), None)

    def used(self) -> dict[PciAddress, Device]:
        """Every guest address that is written down, with its (first) owner."""
        taken: dict[PciAddress, Device] = {}
        for device in self:
            if device.address is not None:
                taken.setdefault(device.address, device)
        return taken


def pci_controllers(domain: Domain) -> list[Device]:
    """The PCI controllers of a domain alone, numbered as libvirt numbers them."""
    controllers = []
    for element in domain.devices.iterchildren("controller"):
        if element.get("type") == "pci":
            kids = _kids(element)
            needs, step = connection("controller", element, kids) or (NONE, Step.PCI_CONTROLLER)
            controllers.append(Device(element, kids, needs, step))
    _number_controllers(controllers)
    return controllers


def _kids(element: Element) -> dict[str, Element]:
    """The first child of each name."""
    return {name: child for child in reversed(element) if isinstance(name := child.tag, str)}


def _has_address(element: Element) -> bool:
    return next(element.iterchildren("address"), None) is not None


def label(element: Element, kids: dict[str, Element]) -> str:
    """Name an element the way its author would."""
    tag = str(element.tag)
    alias = kids.get("alias")
    name = "" if alias is None else alias.get("name", "")
    if not name and tag == "disk":
        target = kids.get("target")
        name = "" if target is None else target.get("dev", "") or disk_bus(kids)
    elif not name and tag == "controller":
        name = f"{element.get('type', '')} {element.get('index', '')}".strip()
    elif not name:
        name = element.get("model", "") or element.get("type", "")
    return f"{tag} {name}".rstrip()


def _address(kids: dict[str, Element], needs: int) -> tuple[PciAddress | None, bool]:
    """The guest PCI address of a device (all zero means none to libvirt), and whether it still wants one."""
    element = kids.get("address")
    kind = None if element is None else element.get("type")
    if element is not None and kind == "pci":
        address = PciAddress.from_attributes(element)
        if address.domain or address.bus or address.slot:
            return address, False
    return None, needs != NONE and kind in {"pci", None}


def _number_controllers(controllers: list[Device]) -> None:
    used: set[int] = set()
    for controller in controllers:
        text = controller.element.get("index") if controller.element is not None else None
        if text is not None:
            controller.index = _index(text)
            if controller.index in used:
                raise BadInput(
                    "duplicate-controller",
                    f"the domain has two PCI controllers with index {controller.index}",
                    hint=f"libvirt would say: Multiple 'pci' controllers with index '{controller.index}'",
                )
            used.add(controller.index)
    lowest = 0
    for controller in controllers:
        if controller.index < 0:
            while lowest in used:
                lowest += 1
            controller.index = lowest
            used.add(lowest)
        if controller.model not in MODELS:
            controller.needs = UNKNOWN


def _index(text: str) -> int:
    index = read_number(text, most=MAX_INDEX)
    if index is None:
        raise BadInput(
            "bad-controller-index",
            f"a PCI controller has index={text[:20]!r}",
            hint=f"write a number from 0 to {MAX_INDEX}",
        )
    return index
