"""From a domain to the tree of PCI functions that its firmware will meet, and what of it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from domxml.commandline import CommandLineDevice, command_line_devices
from domxml.document import HYPERVISORS, Domain, Element
from domxml.guestpci.connect import Step
from domxml.guestpci.machines import I440FX, Q35, VIRT
from domxml.guestpci.prediction import Port, Prediction, predict
from domxml.guestpci.topology import Device, Topology
from domxml.pciaddress import PciAddress, read_number
from domxml.source import HostDevice
from domxml.version import OLDEST, LibvirtVersion
from hostdev.fit import devices
from hostdev.fit.guest import Guest, parse_size
from hostdev.fit.inputs import HostFunction
from hostdev.fit.pcitree import KIB, Bridge, Function, Reservation, RootBus

_EXPANDERS = {"pcie-expander-bus", "pci-expander-bus"}
_OWN_REGISTERS = {
    "pcie-root-port": devices.ROOT_PORT,
    "pcie-to-pci-bridge": devices.CONVENTIONAL_BRIDGE,
    "pci-bridge": devices.CONVENTIONAL_BRIDGE,
}
_PORTS = {"pcie-root-port", "pcie-switch-downstream-port"}
_PORTS_WITH_NATIVE_HOTPLUG_OFF = (6, 1)
"""The one version of q35 whose ports do not say that they take hotplug."""
_BUS_NUMBERS = 256
_CHIPSET = {
    Q35.name: ((0x1F, 2, devices.AHCI, "the chipset's SATA"), (0x1F, 3, devices.SMBUS, "the chipset's SMBus")),
    I440FX.name: ((1, 1, devices.IDE, "the chipset's IDE"),),
}
CHIPSET = "the chipset's"
"""How the labels of functions begin that are no device of the domain."""


class DomainTree(NamedTuple):
    """The guest's PCI functions."""

    roots: tuple[RootBus, ...]
    unknown: tuple[str, ...]
    """Why it is not known at all: then the rest says nothing."""
    unknown_hosts: tuple[str, ...]
    """Host devices whose registers are not known."""
    unknown_models: tuple[str, ...]
    """Emulated devices whose registers are not known."""


def domain_tree(
    domain: Domain, guest: Guest, functions: Mapping[HostDevice, HostFunction], libvirt: LibvirtVersion = OLDEST
) -> DomainTree:
    """Build it."""
    topology = Topology(domain, libvirt)
    if guest.machine not in (Q35, I440FX, VIRT):
        return DomainTree((), (f"machine type {guest.machine.name}: its firmware is not emulated",), (), ())
    prediction = predict(topology) if domain.root.get("type") in HYPERVISORS else Prediction(unknown=("no QEMU",))
    if not prediction.known:
        reasons = prediction.unknown or (f"libvirt would refuse the domain: {prediction.refusal}",)
        return DomainTree((), tuple(reasons), (), ())
    return _Builder(topology, guest, functions, prediction).build()


class _Builder:
    def __init__(
        self,
        topology: Topology,
        guest: Guest,
        functions: Mapping[HostDevice, HostFunction],
        prediction: Prediction,
    ) -> None:
        self.topology = topology
        self.guest = guest
        self.host_functions = functions
        self.sources = {holder.element: device for device, holder in topology.domain.host_devices.items()}
        self.unknown: list[str] = []
        self.unknown_hosts: list[str] = []
        self.unknown_models: list[str] = []
        self.on_bus: dict[int, dict[tuple[int, int], Device | Port | devices.Shape]] = {}
        self.labels: dict[tuple[int, int], str] = {}
        for address, owner in prediction.owners().items():
            self.on_bus.setdefault(address.bus, {})[address.slot, address.function] = owner
        for slot, function, shape, label in _CHIPSET.get(guest.machine.name, ()):
            self.on_bus.setdefault(0, {})[slot, function] = shape
            self.labels[slot, function] = label
        video = [d for d in topology.devices if d.step is Step.VIDEO]
        self.primary = next((d for d in video if _is_primary(d)), video[0] if video else None)
        self.ports = {port.index: port for port in prediction.ports}

    def build(self) -> DomainTree:
        self._refuse_command_line()
        roots = [RootBus(0, self._functions(0))]
        numbers = self._root_numbers()
        for number, index in sorted(numbers.items()):
            roots.append(RootBus(number, self._functions(index)))
        for root, following in zip(roots, [*roots[1:], None], strict=True):
            last = root.number + _buses(root.functions)
            if last >= (following.number if following is not None else _BUS_NUMBERS):
                self.unknown.append(f"the bus numbers below root bus {root.number} run into others")
        return DomainTree(
            tuple(roots), tuple(self.unknown), tuple(self.unknown_hosts), tuple(dict.fromkeys(self.unknown_models))
        )

    def _root_numbers(self) -> dict[int, int]:
        """The expander buses, by the bus number that the guest sees."""
        found: dict[int, int] = {}
        lowest = _BUS_NUMBERS
        for index, port in sorted(self.ports.items()):
            if port.model.name not in _EXPANDERS:
                continue
            target = _child(port, "target")
            busy = None if target is None else read_number(target.get("busNr"))
            number = lowest - 2 if busy is None else busy
            lowest = min(lowest, number)
            if number in found:
                self.unknown.append(f"two expander buses have the number {number}")
            found[number] = index
        return found

    def _functions(self, index: int) -> tuple[Function, ...]:
        there = self.on_bus.get(index, {})
        made = []
        for (slot, number), owner in sorted(there.items(), key=lambda item: item[0]):
            if number and (slot, 0) not in there and not self._has_chipset_function(index, slot):
                self.unknown.append(f"{_label(owner)} is at function {number} of a slot without a function 0")
            function = self._function(PciAddress(0, index, slot, number), owner)
            if function is not None:
                made.append(function)
        return tuple(made)

    def _has_chipset_function(self, index: int, slot: int) -> bool:
        return index == 0 and any(
            slot == reserved and number in {0, -1} for reserved, number in self.guest.machine.reserved
        )

    def _function(self, address: PciAddress, owner: Device | Port | devices.Shape) -> Function | None:
        if isinstance(owner, Port):
            return self._controller(address, owner)
        if isinstance(owner, devices.Shape):
            label = self.labels[address.slot, address.function]
            return Function(label, address, owner.bars, owner.pci_class, owner.rom)
        if owner.element in self.sources and owner.step is Step.HOSTDEV:
            return self._host_function(address, owner, self.sources[owner.element])
        setting = devices.Setting(self._serves_old_drivers(address.bus), self._is_vga(owner), self.guest.version)
        shape = devices.shape_of(owner, setting)
        if shape is None:
            self.unknown_models.append(owner.label)
            return Function(owner.label, address, alias=_alias(owner), other=devices.MUCH)
        return Function(
            owner.label, address, shape.bars, shape.pci_class, shape.rom, alias=_alias(owner), other=shape.other
        )

    def _is_vga(self, device: Device) -> bool:
        return device is self.primary and self.guest.machine is not VIRT

    def _serves_old_drivers(self, bus: int) -> bool:
        port = self.ports.get(bus)
        return port is None or port.model.name not in _PORTS

    def _host_function(self, address: PciAddress, device: Device, source: HostDevice) -> Function:
        told = self.host_functions.get(source)
        name = f"{device.element.tag if device.element is not None else ''} {source}"
        if told is None:
            self.unknown_hosts.append(str(source))
            return Function(name, address, source=str(source), alias=_alias(device))
        if devices.names_rom(device):
            self.unknown_models.append(f"the ROM of {source}, which is a file,")
        pci_class = (told.class_code or 0) >> 8
        if told.class_code is None:
            self.unknown_hosts.append(f"{source} (its class)")
        size = 0 if devices.hides_rom(device) else told.rom
        return Function(name, address, told.bars, pci_class, size, source=str(source), alias=_alias(device))

    def _controller(self, address: PciAddress, port: Port) -> Function | None:
        model = port.model.name
        if model in _EXPANDERS:
            return None
        shape = _OWN_REGISTERS.get(model, devices.NOTHING)
        if self._model_name(port) == "ioh3420":
            shape = devices.NOTHING
        return Function(port.label, address, shape.bars, bridge=self._bridge(port))

    def _model_name(self, port: Port) -> str:
        named = _child(port, "model")
        return "" if named is None else named.get("name", "")

    def _bridge(self, port: Port) -> Bridge:
        model = port.model.name
        slot = model in _PORTS
        shpc = model in {"pci-bridge", "pcie-to-pci-bridge"}
        hotplug = shpc or (slot and self._takes_hotplug(port))
        return Bridge(self._functions(port.index), hotplug, slot, shpc, self._reservation(port))

    def _takes_hotplug(self, port: Port) -> bool:
        target = _child(port, "target")
        if target is not None and target.get("hotplug") == "off":
            return False
        told = self.guest.globals.get(("pcie-root-port", "hotplug"))
        if told is not None:
            return told in {"on", "true", "yes"}
        return not (self.guest.machine is Q35 and self.guest.version == _PORTS_WITH_NATIVE_HOTPLUG_OFF)

    def _reservation(self, port: Port) -> Reservation:
        if port.model.name != "pcie-root-port":
            return Reservation()
        told = [
            self.guest.globals.get(("pcie-root-port", f"{kind}-reserve")) for kind in ("io", "mem", "pref32", "pref64")
        ]
        io, mem32, pref32, pref64 = [None if text is None else parse_size(text) for text in told]
        target = _child(port, "target")
        kept = None if target is None else read_number(target.get("memReserve"))
        return Reservation(io, mem32 if kept is None else kept * KIB, pref32, pref64)

    def _refuse_command_line(self) -> None:
        for device in command_line_devices(self.topology.domain):
            if device.address is not None or device.device is not None or _may_be_pci(device):
                self.unknown.append(f"{device.label}: where it is and what it asks for is not computed")


def _may_be_pci(device: CommandLineDevice) -> bool:
    """Most of what people add is no PCI device, or is one of ours to know."""
    return "pci" in device.driver or device.driver in {"nvme", "igb", "e1000e", "ivshmem-plain", "ivshmem-doorbell"}


def _child(port: Port, name: str) -> Element | None:
    """An element in that of a controller; None where libvirt adds the controller."""
    return None if port.device is None else port.device.kids.get(name)


def _is_primary(device: Device) -> bool:
    model = device.kids.get("model")
    return model is not None and model.get("primary") == "yes"


def _alias(device: Device) -> str:
    alias = device.kids.get("alias")
    return "" if alias is None else alias.get("name", "")


def _label(owner: Device | Port | devices.Shape) -> str:
    return CHIPSET if isinstance(owner, devices.Shape) else owner.label


def _buses(functions: tuple[Function, ...]) -> int:
    return sum(1 + _buses(f.bridge.functions) for f in functions if f.bridge is not None)
