"""What is known of the node and of the devices, beside the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from hostdev.inventory.bars import Bar
from hostdev.inventory.machine import Machine

INTEL, AMD, OTHER = "intel", "amd", "other"
VENDOR_NAMES: Mapping[str, str] = MappingProxyType({INTEL: "Intel's", AMD: "AMD's", OTHER: "another maker's"})
"""How people say it."""
_VENDORS = {"GenuineIntel": INTEL, "AuthenticAMD": AMD}
"""By the name that the processor itself tells."""
GUEST_BITS_SINCE = (6, 10)
"""The release of Linux whose KVM tells how many physical bits a guest can use."""


class HostFunction(NamedTuple):
    """A function of the host as a guest will see it."""

    bars: tuple[Bar, ...]
    class_code: int | None = None
    """All 24 bits; None where it is not recorded."""
    rom: int = 0
    """Bytes of the expansion ROM's register."""


class Node(NamedTuple):
    """The machine where the VM runs; None and an empty text are what is not known."""

    vendor: str = ""
    bits: int | None = None
    """Physical address bits of its processor."""
    guest_bits: int | None = None
    """What KVM tells guests as GuestPhysBits; 0 where it tells nothing."""
    iommu_bits: int | None = None
    """The width of the addresses that its IOMMU maps: the least of all."""
    kernel: str = ""
    """The release."""

    @property
    def told_guest_bits(self) -> int | None:
        """GuestPhysBits; an old kernel tells none."""
        if self.guest_bits is not None or not self.kernel:
            return self.guest_bits
        numbers = [int(part) if part.isdecimal() else 0 for part in self.kernel.split("-")[0].split(".")[:2]]
        return 0 if tuple(numbers) < GUEST_BITS_SINCE else None


class Choice(NamedTuple):
    """A value that something may have which is not known, and how people say it."""

    value: int | str | bool
    when: str


def vendor_of(cpuid: str) -> str:
    """The processor's maker, from the vendor_id of /proc/cpuinfo."""
    return _VENDORS.get(cpuid, OTHER if cpuid else "")


def node_of(machine: Machine) -> Node:
    """What decides about a guest's addresses on this machine, as far as the machine tells."""
    cpu = machine.cpu
    return Node(
        vendor_of(cpu.vendor),
        cpu.physical_bits,
        iommu_bits=machine.iommu.address_bits,
        kernel=machine.kernel.release,
    )


def host_functions(machine: Machine, devices: Iterable[HostDevice]) -> dict[HostDevice, HostFunction]:
    """Those of these devices whose BARs are known: what a driver makes of a mediated device is not.

    A guest sees no SR-IOV capability, so that a PF asks nothing for its VFs.
    """
    known: dict[HostDevice, HostFunction] = {}
    for device in devices:
        function = machine.functions.get(device) if isinstance(device, PciAddress) else None
        if function is not None and function.bars is not None:
            known[device] = HostFunction(function.bars.own, function.class_code, function.bars.rom)
    return known
