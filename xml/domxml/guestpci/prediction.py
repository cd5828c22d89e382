"""What libvirt will make of a domain: the controllers it adds, the address of every device, or what is not known."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from domxml.guestpci.allocator import AddressSet, Bus, Impossible, default_bus, spare_needs
from domxml.guestpci.connect import UNKNOWN, Step
from domxml.guestpci.implicit import USB2, complete
from domxml.guestpci.machines import AUTOASSIGN, I440FX, MODELS, PCI_DEVICE, PCIE_DEVICE, Q35, BusModel, RootKind
from domxml.guestpci.topology import Device, Topology
from domxml.pciaddress import PciAddress

_USB2_FUNCTION = dict(zip(USB2, (7, 0, 1, 2), strict=True))
_COLLECT_ORDER = (
    *(Step.DISK, Step.INTERFACE, Step.SOUND, Step.HOSTDEV, Step.VIDEO, Step.PCI_CONTROLLER, Step.CONTROLLER),
    *(Step.SERIAL, Step.INPUT, Step.FILESYSTEM, Step.WATCHDOG, Step.MEMBALLOON, Step.RNG, Step.SHMEM),
    *(Step.PANIC, Step.MEMORY, Step.IOMMU, Step.VSOCK, Step.CRYPTO, Step.PSTORE),
)
_LAST_SLOT = 0x1F
_COLLECT_RANK = {step: rank for rank, step in enumerate(_COLLECT_ORDER)}


class Port:
    """A PCI controller of the complete list; `device` is None for those that libvirt adds."""

    __slots__ = ("address", "device", "index", "model")

    def __init__(self, index: int, model: BusModel, address: PciAddress | None, device: Device | None = None) -> None:
        self.index = index
        self.model = model
        self.address = address
        self.device = device

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"PCI controller {self.index} ({self.model.name})"


class Prediction(NamedTuple):
    """The outcome. With `unknown` or `refusal` the rest says nothing."""

    ports: tuple[Port, ...] = ()
    """All PCI controllers by index, the root first."""
    addresses: dict[Device, PciAddress] | None = None
    """Where every device ends up, the addressed ones included."""
    unknown: tuple[str, ...] = ()
    refusal: str = ""
    """Libvirt's words, where it would refuse the domain as it is."""
    on_own_ports: bool = False
    """Each device that has no address yet gets a new port of its own: more of them beside these would move nothing."""

    @property
    def known(self) -> bool:
        """Whether the rest may be relied on."""
        return not self.unknown and not self.refusal

    @property
    def added(self) -> tuple[Port, ...]:
        """The controllers that the document does not have."""
        return tuple(port for port in self.ports if port.device is None or port.device.element is None)

    def without(self, devices: AbstractSet[Device]) -> Prediction:
        """The same, while some devices leave their places and these stay free."""
        if not devices or self.addresses is None:
            return self
        return self._replace(addresses={d: a for d, a in self.addresses.items() if d not in devices})

    def owners(self) -> dict[PciAddress, Device | Port]:
        """Every address that will be taken, and by what."""
        owners: dict[PciAddress, Device | Port] = {port.address: port for port in self.ports if port.address}
        owners.update((address, device) for device, address in (self.addresses or {}).items())
        return owners


def predict(topology: Topology) -> Prediction:
    """Run libvirt's allocation on paper."""
    if topology.machine.root is RootKind.ZPCI:
        return _predict_zpci(topology)
    try:
        devices, unknown = complete(topology)
    except Impossible as refusal:
        return Prediction(refusal=str(refusal))
    unknown += _unknown_order(topology)
    unknown += [
        f"PCI controller {c.index} has model={c.model!r}" for c in topology.controllers if c.model not in MODELS
    ]
    if topology.machine.root not in {RootKind.PCIE, RootKind.PCI}:
        unknown.append(f"machine type {topology.machine.name}: its PCI addresses are not emulated")
    root = topology.controller(0)
    if root is not None and root.model in MODELS and root.model != topology.machine.root and not unknown:
        return Prediction(
            refusal=f"The PCI controller with index='0' must be model='{topology.machine.root}' for this machine type, "
            f"but model='{root.model}' was found instead"
        )
    if unknown:
        return Prediction(unknown=tuple(unknown))
    try:
        return _Run(topology, devices).predict()
    except Impossible as refusal:
        return Prediction(refusal=str(refusal))


def _predict_zpci(topology: Topology) -> Prediction:
    """On s390x only host devices are on PCI: those without an address get the lowest slots of bus 0."""
    where = {device: device.address for device in topology if device.address is not None}
    used = {address.slot for address in where.values() if not address.bus}
    free = (slot for slot in range(1, _LAST_SLOT) if slot not in used)
    for device in topology.devices:
        if device.wants and device.step is Step.HOSTDEV and device.kind == "pci":
            slot = next(free, None)
            if slot is None:
                return Prediction(unknown=("libvirt adds a bridge for host devices, and its place is not known",))
            where[device] = PciAddress(0, 0, slot, 0)
    ports = {c.index: Port(c.index, MODELS[c.model], c.address, c) for c in topology.controllers if c.model in MODELS}
    ports.setdefault(0, Port(0, MODELS["pci-root"], None))
    return Prediction(tuple(ports[index] for index in sorted(ports)), where)


def is_settled(topology: Topology) -> bool:
    """Whether nothing is left for libvirt to add or to place: what a domain looks like that it has dumped."""
    if any(device.wants for device in topology):
        return False
    buses = {controller.index for controller in topology.controllers}
    used = {device.address.bus for device in topology if device.address is not None}
    if buses != set(range(max(buses, default=-1) + 1)) or not buses or not used <= buses:
        return False
    try:
        devices, unknown = complete(topology)
    except Impossible:
        return False
    return not unknown and not any(device.wants for device in devices)


def _unknown_order(topology: Topology) -> list[str]:
    present = {controller.index for controller in topology.controllers}
    gaps = [index for index in range(1, topology.max_index) if index not in present]
    if gaps and any(controller.wants and controller.index > gaps[0] for controller in topology.controllers):
        return [f"PCI controller {gaps[0]} is missing: versions of libvirt fill such a gap in different orders"]
    return []


class _Run:
    """One emulation: the dry run that finds the controllers, then the run that hands out addresses."""

    def __init__(self, topology: Topology, devices: list[Device]) -> None:
        self.topology = topology
        self.devices = devices
        self.pcie = topology.machine.root is RootKind.PCIE
        self.where: dict[Device, PciAddress] = {}
        self.usb2: dict[int, PciAddress] = {}
        """Where the first controller of a USB 2 bus sits: its companions share the slot."""
        for device in devices:
            if device.address is not None:
                self._seat(device, device.address)
        self.ports = {c.index: Port(c.index, MODELS[c.model], c.address, c) for c in topology.controllers}
        self.ports.setdefault(0, Port(0, MODELS[str(topology.machine.root)], None))
        self.max_index = topology.max_index
        self.tried: dict[Device, PciAddress] = {}
        self.tried_ports: dict[int, PciAddress] = {}
        """What the dry run gave, devices and ports."""

    def predict(self) -> Prediction:
        beyond = any(address.bus > max(self.max_index, 0) for address in self.where.values())
        dry = self._pass(dry_run=True)
        buses = dry.buses
        if self.max_index <= 0 and len(buses) > 1 and self.pcie:
            dry.reserve_next(spare_needs(pcie=True))
        for index in range(1, len(buses := dry.buses)):
            if index not in self.ports:
                self.ports[index] = Port(index, buses[index].model, None)
                self.tried_ports[index] = dry.reserve_next(buses[index].model.plugs_as)
        # Growing while controllers are connected would need buses that libvirt does not look at again.
        if len(dry.buses) != len(self.ports):
            raise Impossible("No more available PCI slots")
        repeats = self.nothing_can_shift()
        if repeats:
            self.where.update(self.tried)
            for index, address in self.tried_ports.items():
                self.ports[index].address = address
        else:
            self._pass(dry_run=False)
        ports = tuple(self.ports[index] for index in sorted(self.ports))
        old_port_waits = any(index <= self.max_index for index in self.tried_ports)
        return Prediction(ports, self.where, on_own_ports=repeats and not old_port_waits and not beyond)

    def nothing_can_shift(self) -> bool:
        """The second run would only repeat the first: plain PCI Express devices, each on a port of its own."""
        return (
            self.pcie
            and list(self.tried_ports) == sorted(self.tried_ports)
            and all(device.needs == PCIE_DEVICE | AUTOASSIGN and device.step is not Step.VIDEO for device in self.tried)
        )

    def _pass(self, *, dry_run: bool) -> AddressSet:
        size = max(self.ports) + 1
        ports = self.ports
        buses = [Bus(ports[i].model) if i in ports else default_bus(pcie=self.pcie) for i in range(size)]
        addresses = AddressSet(buses, dry_run=dry_run)
        self._collect(addresses)
        if self.topology.machine is Q35:
            self._q35(addresses, dry_run=dry_run)
        elif self.topology.machine is I440FX:
            self._i440fx(addresses, dry_run=dry_run)
        if dry_run and not self.pcie and not all(bus.full() for bus in addresses.buses):
            addresses.reserve_next(spare_needs(pcie=False))
        self._connect_ports(addresses, dry_run=dry_run)
        for device in self.devices:
            if device.wants and device not in self.where:
                self._assign(addresses, device, dry_run=dry_run)
        return addresses

    def _collect(self, addresses: AddressSet) -> None:
        written = [(device.step, device.needs, address) for device, address in self.where.items()]
        written += [
            (Step.PCI_CONTROLLER, port.model.plugs_as, port.address) for port in self.ports.values() if port.address
        ]
        written.sort(key=lambda entry: _COLLECT_RANK[entry[0]])
        for step, needs, address in written:
            if not (step is Step.CONTROLLER and self._is_piix3(address)):
                addresses.reserve(address, needs if needs > 0 else PCI_DEVICE)

    def _is_piix3(self, address: PciAddress) -> bool:
        return address.bus == 0 and address.slot == 1 and address.function in {1, 2}

    def _connect_ports(self, addresses: AddressSet, *, dry_run: bool) -> None:
        for index in sorted(self.ports):
            port = self.ports[index]
            if port.address is None and port.model.plugs_as:
                address = addresses.reserve_next(port.model.plugs_as)
                if dry_run:
                    self.tried_ports[index] = address
                else:
                    port.address = address

    def _assign(self, addresses: AddressSet, device: Device, *, dry_run: bool) -> None:
        if device.kind == "ide" and device.index == 0:
            return
        if device.kind == "usb" and device.model in USB2:
            address = self._usb2(addresses, device)
        else:
            address = addresses.reserve_next(device.needs)
        if dry_run:
            self.tried[device] = address
        else:
            self._seat(device, address)

    def _usb2(self, addresses: AddressSet, device: Device) -> PciAddress:
        function = _USB2_FUNCTION[device.model]
        companion = self.usb2.get(device.index)
        if companion is None:
            return addresses.reserve_next(device.needs, function)
        address = companion.with_function(function)
        addresses.reserve(address, device.needs)
        return address

    def _seat(self, device: Device, address: PciAddress) -> None:
        self.where[device] = address
        if device.kind == "usb" and device.model in USB2:
            self.usb2.setdefault(device.index, address)

    def _q35(self, addresses: AddressSet, *, dry_run: bool) -> None:
        for device in self.devices:
            if device.kind == "sata" and device.index == 0:
                self._fix(device, PciAddress(0, 0, 0x1F, 2), "Primary SATA controller must have PCI address 0:0:1f.2")
            elif device.kind == "usb" and device.model == "ich9-uhci1" and device.wants:
                self._prefer(addresses, device, (0x1D, 0x1A))
        for port in self.ports.values():
            if port.model.name == "dmi-to-pci-bridge" and port.address is None and not addresses.slot_in_use(0x1E):
                port.address = PciAddress(0, 0, 0x1E, 0)
                addresses.reserve(port.address, PCIE_DEVICE)
        for function in (0, 3):
            addresses.reserve(PciAddress(0, 0, 0x1F, function), PCIE_DEVICE)
        self._primary_video(addresses, 1, PCIE_DEVICE, dry_run=dry_run)
        sound = next((d for d in self.devices if d.step is Step.SOUND and d.model == "ich9" and d.wants), None)
        if sound is not None:
            self._prefer(addresses, sound, (0x1B,))

    def _i440fx(self, addresses: AddressSet, *, dry_run: bool) -> None:
        needs = PCI_DEVICE | AUTOASSIGN
        for device in self.devices:
            if device.kind == "ide" and device.index == 0:
                text = "Primary IDE controller must have PCI address 0:0:1.1"
                addresses.reserve(self._fix(device, PciAddress(0, 0, 1, 1), text), needs)
            elif device.kind == "usb" and device.index == 0 and device.model in {"", "piix3-uhci"}:
                text = "PIIX3 USB controller at index 0 must have PCI address 0:0:1.2"
                addresses.reserve(self._fix(device, PciAddress(0, 0, 1, 2), text), needs)
        for function in (0, 3):
            addresses.reserve(PciAddress(0, 0, 1, function), needs)
        self._primary_video(addresses, 2, needs, dry_run=dry_run)

    def _fix(self, device: Device, address: PciAddress, otherwise: str) -> PciAddress:
        if self.where.setdefault(device, address) != address:
            raise Impossible(otherwise)
        return address

    def _prefer(self, addresses: AddressSet, device: Device, slots: tuple[int, ...]) -> None:
        if device in self.where:
            return
        for slot in slots:
            if not addresses.slot_in_use(slot):
                self._seat(device, PciAddress(0, 0, slot, 0))
                addresses.reserve(self.where[device], PCIE_DEVICE)
                return

    def _primary_video(self, addresses: AddressSet, slot: int, needs: int, *, dry_run: bool) -> None:
        video = next((device for device in self.devices if device.step is Step.VIDEO), None)
        if video is None or not video.wants or video in self.where:
            return
        if not addresses.slot_in_use(slot):
            self.where[video] = PciAddress(0, 0, slot, 0)
            addresses.reserve(self.where[video], needs)
            return
        if video.needs == UNKNOWN:
            raise Impossible(f"{video.label} has no model, and its usual slot is taken")
        # On the dry run libvirt forgets this address, and takes another one when the turn of video comes.
        address = addresses.reserve_next(video.needs)
        if not dry_run:
            self.where[video] = address
