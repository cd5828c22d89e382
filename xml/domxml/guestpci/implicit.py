"""The devices libvirt adds to a domain by itself before it hands out addresses, and the order of its controllers."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.document import Element
from domxml.guestpci.allocator import Impossible
from domxml.guestpci.connect import PCI, PCIE, UNKNOWN, Step, disk_bus, on_bus
from domxml.guestpci.machines import I440FX, VIRT, MachineType
from domxml.guestpci.topology import Device, Topology
from domxml.pciaddress import read_number

USB2 = ("ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3")
_SERIAL_PORTS = 32
"""Of a virtio-serial controller that does not say; one is kept for consoles."""
_LETTERS = 6
_MOST_CONTROLLERS = 255 * 31
"""What fits below the buses that there can be."""
_DISKS_PER_CONTROLLER = {"ide": 4, "scsi": 7, "sata": 6}


def complete(topology: Topology) -> tuple[list[Device], list[str]]:
    """All devices in the order libvirt serves them, its own additions included; and what cannot be known."""
    devices = list(topology.devices)
    machine = topology.machine
    steps = {device.step for device in devices}
    controllers = [device for device in devices if device.step is Step.CONTROLLER]
    _number(controllers)
    for controller in controllers:
        if controller.kind == "usb" and not controller.model and machine is I440FX:
            controller.needs = PCI
    serial = list(_serial_ports(topology))
    ordered = _ordered([*controllers, *_added_controllers(topology, controllers, machine, serial)])
    others = [device for device in devices if device.step is not Step.CONTROLLER and _takes_part(device)]
    if machine.default_memballoon and Step.MEMBALLOON not in steps:
        others.append(_device(Step.MEMBALLOON, "memballoon", PCIE))
    if Step.VIDEO not in steps and any(child.tag == "graphics" for child in topology.domain.devices):
        others.append(_device(Step.VIDEO, "video", PCI if machine.default_video_slot else PCIE))
    everything = sorted([*ordered, *others], key=_turn)
    for device in everything:
        if device.element is None:
            device.needs = on_bus(device.needs, pcie=topology.pcie)
    primary = next((device for device in everything if device.step is Step.VIDEO), None)
    unknown = [
        f"{device.label}: which kind of PCI device it is depends on libvirt's build"
        for device in (*topology.controllers, *everything)
        if device.wants and device.needs == UNKNOWN and not (device is primary and machine.default_video_slot)
    ]
    unknown += _overflowing(topology, ordered, len(serial))
    if machine is VIRT and any(True for _ in topology.domain.devices.iterfind("*/address[@type='virtio-mmio']")):
        unknown.append("a device with a virtio-mmio address: libvirt then gives others such addresses too")
    return everything, unknown


def _takes_part(device: Device) -> bool:
    """Whether addresses are its business; the first video device is the primary one in any case."""
    return device.wants or device.address is not None or device.step is Step.VIDEO


def _turn(device: Device) -> tuple[int, int]:
    # Host devices of an <interface> come before plain ones; disks of one bus are kept in the order of their names.
    if device.step is Step.HOSTDEV and device.element is not None:
        return device.step, 0 if device.element.tag == "interface" else 1
    if device.step is Step.DISK:
        return device.step, disk_index(device.kids)
    return device.step, 0


def disk_index(kids: dict[str, Element]) -> int:
    """The number in a disk's name: vda 0, vdb 1, vdaa 26; -1 where there is none."""
    target = kids.get("target")
    name = "" if target is None else target.get("dev", "")
    letters = (name[3:] if name.startswith(("xvd", "ubd")) else name[2:]).rstrip("0123456789")
    number = 0
    # More letters than that would not fit into libvirt's number, and no guest has that many disks.
    for letter in letters[:_LETTERS]:
        if not "a" <= letter <= "z":
            return -1
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def _added_controllers(
    topology: Topology, have: list[Device], machine: MachineType, serial: list[int]
) -> Iterator[Device]:
    present = {(device.kind, device.index) for device in have}
    if machine.default_usb is not None and ("usb", 0) not in present:
        yield _controller("usb", machine.default_usb or "piix3-uhci", 0, PCIE if machine.default_usb else PCI)
    if machine.default_sata and ("sata", 0) not in present:
        present.add(("sata", 0))
        yield _controller("sata", "", 0, PCI)
    highest = _highest_drives(topology)
    for kind, needs in (("scsi", UNKNOWN), ("ide", PCI), ("sata", PCI)):
        if highest.get(kind, -1) > _MOST_CONTROLLERS:
            raise Impossible(f"a disk needs {kind} controller {highest[kind]}, and no guest has room for that many")
        for index in range(highest.get(kind, -1) + 1):
            if (kind, index) not in present:
                present.add((kind, index))
                yield _controller(kind, "", index, needs)
    for index in serial:
        if ("virtio-serial", index) not in present:
            present.add(("virtio-serial", index))
            yield _controller("virtio-serial", "", index, PCIE)


def _overflowing(topology: Topology, controllers: list[Device], ports: int) -> Iterator[str]:
    """Controllers that libvirt adds because what hangs on them does not fit: how many, and which, it alone knows."""
    room = sum(_ports(controller) - 1 for controller in controllers if controller.kind == "virtio-serial")
    if ports > room:
        yield "there are more virtio channels than ports for them: libvirt adds controllers"
    scsi = sum(1 for c in controllers if c.kind == "scsi")
    hostdevs = sum(1 for d in topology.devices if d.step is Step.HOSTDEV and d.kind == "scsi")
    if not hostdevs:
        return
    disks = sum(1 for d in topology.devices if d.step is Step.DISK and disk_bus(d.kids) == "scsi")
    if not scsi or hostdevs + disks > _DISKS_PER_CONTROLLER["scsi"]:
        yield "there are SCSI host devices: libvirt may add controllers for them"


def _ports(controller: Device) -> int:
    ports = None if controller.element is None else read_number(controller.element.get("ports"))
    return _SERIAL_PORTS if ports is None else ports


def _highest_drives(topology: Topology) -> dict[str, int]:
    """The highest controller that a disk of each kind of bus needs."""
    highest: dict[str, int] = {}
    for device in topology.devices:
        kind = disk_bus(device.kids) if device.step is Step.DISK else ""
        if kind not in _DISKS_PER_CONTROLLER:
            continue
        address = device.kids.get("address")
        is_drive = address is not None and address.get("type", "drive") == "drive"
        written = address.get("controller") if address is not None and is_drive else None
        needed = disk_index(device.kids) // _DISKS_PER_CONTROLLER[kind] if written is None else _controller_of(written)
        highest[kind] = max(highest.get(kind, -1), needed)
    return highest


def _controller_of(text: str) -> int:
    number = read_number(text)
    if number is None:
        raise Impossible(f"an address has controller={text[:20]!r}, which is no number")
    return number


def _serial_ports(topology: Topology) -> Iterator[int]:
    """Which virtio-serial controller each port hangs on."""
    for element in topology.domain.devices.iterchildren("channel", "console"):
        target = element.find("target")
        if target is not None and target.get("type") == "virtio":
            address = element.find("address")
            virtio_serial = address is not None and address.get("type") == "virtio-serial"
            yield _controller_of(address.get("controller", "0")) if address is not None and virtio_serial else 0
        elif element.tag == "channel" and element.get("type") == "spicevmc" and target is None:
            yield 0


def _number(controllers: list[Device]) -> None:
    used: dict[str, set[int]] = {}
    lowest: dict[str, int] = {}
    previous: Device | None = None
    taken_usb2: set[tuple[int, str]] = set()
    for controller in controllers:
        text = None if controller.element is None else controller.element.get("index")
        numbers = used.setdefault(controller.kind, set())
        written = read_number(text)
        if written is not None:
            controller.index = written
        elif controller.model in USB2 and previous is not None and (previous.index, controller.model) not in taken_usb2:
            controller.index = previous.index
        else:
            # An index is never given back: the search goes on where the last one ended.
            free = lowest.get(controller.kind, 0)
            while free in numbers:
                free += 1
            controller.index = lowest[controller.kind] = free
        numbers.add(controller.index)
        if controller.kind == "usb":
            previous = controller if controller.model in USB2 else None
            taken_usb2.add((controller.index, controller.model))


def _ordered(controllers: list[Device]) -> list[Device]:
    """Libvirt keeps controllers of one type together, in the order of their indexes."""
    kinds: dict[str, list[Device]] = {}
    for controller in controllers:
        kinds.setdefault(controller.kind, []).append(controller)
    return [controller for kind in kinds.values() for controller in sorted(kind, key=lambda one: one.index)]


def _device(step: Step, kind: str, needs: int, model: str = "") -> Device:
    device = Device(None, {}, needs, step)
    device.kind, device.model = kind, model
    return device


def _controller(kind: str, model: str, index: int, needs: int) -> Device:
    device = _device(Step.CONTROLLER, kind, needs, model)
    device.index = index
    return device
