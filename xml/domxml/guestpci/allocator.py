"""Libvirt's allocation of guest PCI addresses, emulated: which controllers it would add, and who would get what."""

from __future__ import annotations

from collections.abc import Sequence

from domxml.guestpci.machines import (
    AGGREGATE,
    AUTOASSIGN,
    MODELS,
    PCI_BRIDGE,
    PCI_DEVICE,
    PCIE_DEVICE,
    PCIE_TO_PCI,
    SWITCH_UPSTREAM,
    BusModel,
    compatible,
    requirement,
)
from domxml.pciaddress import PciAddress

_ALL_FUNCTIONS = 0xFF


class Impossible(Exception):
    """Libvirt would refuse such a domain."""


class Bus:
    """One bus of the guest: which functions of which slots are taken."""

    __slots__ = ("accepts", "aggregate", "is_port", "model", "slots")

    def __init__(self, model: BusModel, accepts: int | None = None) -> None:
        self.model = model
        self.is_port = model.is_port
        self.accepts = model.accepts if accepts is None else accepts
        self.slots: dict[int, int] = {}
        self.aggregate = 0
        """The slots that hold functions of several devices, as bits."""

    def full(self) -> bool:
        """Every slot has a function in use."""
        return all(slot in self.slots for slot in range(self.model.first_slot, self.model.last_slot + 1))

    def take(self, slot: int, function: int, needs: int) -> bool:
        """Mark a function as used; False where it is already."""
        taken = self.slots.get(slot, 0)
        if taken & (1 << function):
            return False
        if not taken and needs & AGGREGATE:
            self.aggregate |= 1 << slot
        self.slots[slot] = taken | (1 << function)
        return True

    def free(self, needs: int, function: int) -> tuple[int, int] | None:
        """The first slot and function that libvirt would pick; function -1 asks for any."""
        wanted = max(function, 0)
        if not self.slots:
            return self.model.first_slot, wanted
        for slot in range(self.model.first_slot, self.model.last_slot + 1):
            taken = self.slots.get(slot, 0)
            if not taken:
                return slot, wanted
            if needs & AGGREGATE and self.aggregate & (1 << slot):
                free = ~taken & (1 << function if function >= 0 else _ALL_FUNCTIONS)
                if free:
                    return slot, (free & -free).bit_length() - 1
        return None


class AddressSet:
    """The buses while addresses are handed out; a dry run grows it as libvirt's first pass does."""

    def __init__(self, buses: Sequence[Bus], *, dry_run: bool) -> None:
        self.buses = list(buses)
        self.dry_run = dry_run
        # Places are never given back, so a search for the same needs goes on where the last one ended.
        self._first: dict[tuple[int, int], int] = {}

    def slot_in_use(self, slot: int) -> bool:
        """Whether anything sits in that slot of the root bus."""
        return slot in self.buses[0].slots

    def reserve(self, address: PciAddress, needs: int) -> None:
        """Take one function, as libvirt would for an address that is written down."""
        bus_index = address.bus
        if self.dry_run and bus_index >= len(self.buses):
            bus_index = self._grow(bus_index, needs)
        self._check(address, bus_index, needs)
        if not self.buses[bus_index].take(address.slot, address.function, needs):
            raise Impossible(f"Attempted double use of PCI Address {address}")

    def reserve_next(self, needs: int, function: int = -1) -> PciAddress:
        """Take the next free place for such a device."""
        buses = self.buses
        wanted = needs, function
        for index in range(self._first.get(wanted, 0), len(buses)):
            bus = buses[index]
            # Most buses are ports that are taken already.
            if bus.is_port and bus.slots:
                continue
            if compatible(bus.accepts, needs, bus_index=index, from_config=False):
                found = bus.free(needs, function)
                if found:
                    break
        else:
            if not self.dry_run:
                raise Impossible("No more available PCI slots")
            index = self._grow(len(buses), needs)
            bus = self.buses[index]
            found = bus.model.first_slot, max(function, 0)
        self._first[wanted] = index
        bus.take(*found, needs)
        return PciAddress(0, index, *found)

    def _check(self, address: PciAddress, bus_index: int, needs: int) -> None:
        if address.domain:
            raise Impossible(f"Invalid PCI address {address}. Only PCI domain 0 is available")
        if bus_index >= len(self.buses):
            last = len(self.buses) - 1
            raise Impossible(f"Invalid PCI address {address}. Only PCI buses up to {last} are available")
        bus = self.buses[bus_index]
        if not compatible(bus.accepts, needs, bus_index=bus_index, from_config=True):
            raise Impossible(
                f"The device at PCI address {address} cannot be plugged into the PCI controller with "
                f"index='{bus_index}'. It requires a controller that accepts a {requirement(needs)}."
            )
        if address.slot < bus.model.first_slot:
            raise Impossible(f"Invalid PCI address {address}. slot must be >= {bus.model.first_slot}")
        if address.slot > bus.model.last_slot:
            raise Impossible(f"Invalid PCI address {address}. slot must be <= {bus.model.last_slot}")

    def _grow(self, bus_index: int, needs: int) -> int:
        """Add the buses such a device would make libvirt add; answer the bus it would land on."""
        missing = bus_index - len(self.buses) + 1
        added: list[Bus] = []
        if needs & PCI_DEVICE:
            model = MODELS["pci-bridge"]
            if not any(bus.accepts & PCI_BRIDGE for bus in self.buses):
                # A pure PCIe guest: a port that takes nothing but the bridge, and the bridge.
                if missing == 1:
                    missing += 1
                    bus_index += 1
                added = [Bus(MODELS["pcie-root-port"], PCIE_TO_PCI), Bus(MODELS["pcie-to-pci-bridge"])]
        elif needs & (PCIE_DEVICE | SWITCH_UPSTREAM):
            model = MODELS["pcie-root-port"]
        else:
            raise Impossible(
                "a PCI slot is needed to connect a PCI controller model="
                f"'{_controller_model(needs)}', but none is available, and it cannot be automatically added"
            )
        self.buses += added
        self.buses += [Bus(model) for _ in range(missing - len(added))]
        return bus_index


def spare_needs(*, pcie: bool) -> int:
    """The needs of the dummy device with which libvirt keeps one place free for later."""
    return AUTOASSIGN | (PCIE_DEVICE if pcie else PCI_DEVICE)


def default_bus(*, pcie: bool) -> Bus:
    """The bus that libvirt makes of a number that has no controller."""
    return Bus(MODELS["pcie-root-port" if pcie else "pci-bridge"])


def _controller_model(needs: int) -> str:
    return next((model.name for model in MODELS.values() if model.plugs_as & needs & ~AGGREGATE), "pci")
