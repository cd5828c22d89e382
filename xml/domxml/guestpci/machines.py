"""What a machine type brings along, and what libvirt lets one plug into which PCI controller: tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from domxml.document import Domain
from domxml.version import OLDEST, LibvirtVersion

# Connect flags: what a device needs, and what a bus offers.
AUTOASSIGN = 1 << 0
AGGREGATE = 1 << 1
INTEGRATED = 1 << 2
PCI_DEVICE = 1 << 4
PCIE_DEVICE = 1 << 5
ROOT_PORT = 1 << 6
SWITCH_UPSTREAM = 1 << 7
SWITCH_DOWNSTREAM = 1 << 8
DMI_TO_PCI = 1 << 9
PCI_EXPANDER = 1 << 10
PCIE_EXPANDER = 1 << 11
PCI_BRIDGE = 1 << 12
PCIE_TO_PCI = 1 << 13
ENDPOINT = PCI_DEVICE | PCIE_DEVICE
ANY_TYPE = (1 << 14) - (1 << 4)

REQUIREMENT_WORDS = (
    (PCI_DEVICE, "standard PCI device"),
    (PCIE_DEVICE, "PCI Express device"),
    (ROOT_PORT, "pcie-root-port"),
    (SWITCH_UPSTREAM, "pcie-switch-upstream-port"),
    (SWITCH_DOWNSTREAM, "pcie-switch-downstream-port"),
    (DMI_TO_PCI, "dmi-to-pci-bridge"),
    (PCIE_TO_PCI, "pcie-to-pci-bridge"),
    (PCI_EXPANDER, "pci-expander-bus"),
    (PCIE_EXPANDER, "pcie-expander-bus"),
    (PCI_BRIDGE, "pci-bridge"),
)
"""How libvirt's error names what a device would have needed."""


class BusModel(NamedTuple):
    """One model of PCI controller: where it plugs in, and what plugs into it."""

    name: str
    plugs_as: int
    """0 for the roots, which plug in nowhere."""
    accepts: int
    first_slot: int
    last_slot: int

    @property
    def is_port(self) -> bool:
        """One slot only, and PCI Express."""
        return self.last_slot == 0


_CONVENTIONAL = AUTOASSIGN | PCI_DEVICE | PCI_BRIDGE
_PORT = AUTOASSIGN | PCIE_DEVICE | SWITCH_UPSTREAM | PCIE_TO_PCI

MODELS = MappingProxyType(
    {
        model.name: model
        for model in (
            BusModel("pci-root", 0, _CONVENTIONAL | PCI_EXPANDER, 1, 31),
            BusModel("pcie-root", 0, PCIE_DEVICE | ROOT_PORT | DMI_TO_PCI | PCIE_EXPANDER, 1, 31),
            BusModel("pci-bridge", PCI_BRIDGE, _CONVENTIONAL, 1, 31),
            BusModel("pcie-to-pci-bridge", PCIE_TO_PCI, _CONVENTIONAL, 1, 31),
            BusModel("dmi-to-pci-bridge", DMI_TO_PCI, PCI_DEVICE | PCI_BRIDGE, 0, 31),
            BusModel("pci-expander-bus", PCI_EXPANDER, _CONVENTIONAL, 0, 31),
            BusModel("pcie-expander-bus", PCIE_EXPANDER, ROOT_PORT | DMI_TO_PCI, 0, 31),
            BusModel("pcie-root-port", ROOT_PORT | AGGREGATE, _PORT, 0, 0),
            BusModel("pcie-switch-downstream-port", SWITCH_DOWNSTREAM, _PORT, 0, 0),
            BusModel("pcie-switch-upstream-port", SWITCH_UPSTREAM, SWITCH_DOWNSTREAM, 0, 31),
        )
    }
)
"""By libvirt's name of the model."""


def compatible(bus_accepts: int, device_needs: int, *, bus_index: int, from_config: bool) -> bool:
    """Tell whether libvirt lets such a device onto such a bus: more is allowed to what is written down."""
    if device_needs & INTEGRATED:
        if bus_index:
            return False
        bus_accepts |= PCI_DEVICE | AUTOASSIGN
    if from_config:
        if bus_accepts & ENDPOINT:
            bus_accepts |= ENDPOINT
        if device_needs & PCI_BRIDGE:
            device_needs |= PCI_DEVICE
    elif device_needs & AUTOASSIGN and not bus_accepts & AUTOASSIGN:
        return False
    return bool(device_needs & bus_accepts & ANY_TYPE)


def requirement(device_needs: int) -> str:
    """Libvirt's words for the controller that a device would have needed."""
    return next(words for flag, words in REQUIREMENT_WORDS if device_needs & flag)


class RootKind(StrEnum):
    """How PCI devices are attached in such a machine."""

    PCIE = "pcie-root"
    PCI = "pci-root"
    ZPCI = "zpci"
    """s390x: a pretended root, and a zPCI identity for each device."""
    NOWHERE = "none"
    """No PCI that we could reason about."""


class MachineType(NamedTuple):
    """A family of machine types, as far as PCI goes."""

    name: str
    root: RootKind
    reserved: Mapping[tuple[int, int], str]
    """(slot, function) on bus 0 that the chipset owns, and by what; function -1: the whole slot."""
    avoided: frozenset[int] = frozenset()
    """Slots of bus 0 that libvirt gives to certain devices if there are any: ours go there only if asked to."""
    default_usb: str | None = None
    """The model of the USB controller that libvirt adds; empty: one that takes no slot of its own."""
    default_sata: bool = False
    default_memballoon: bool = False
    default_video_slot: int | None = None
    """Where the primary video device goes when its address is not written."""
    expander: str | None = None
    """The model of an expander bus in this machine."""
    acpi_index: bool = False
    first_own_slot: int = 0x10
    """Where our own ports start: above what libvirt fills by itself, below the chipset's slots."""
    last_own_slot: int = 0x17
    expander_slots: tuple[int, ...] = (0x18, 0x19, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12)


_ICH9 = {
    (0x00, -1): "the host bridge",
    (0x1F, -1): "the chipset's ISA bridge, SATA and SMBus",
}
_PIIX3 = {
    (0x00, -1): "the host bridge",
    (0x01, -1): "the chipset's PIIX3 (ISA bridge, IDE, USB)",
}

Q35 = MachineType(
    "q35",
    RootKind.PCIE,
    _ICH9,
    # Primary video, USB 2 controllers (twice), sound, legacy bridge.
    frozenset({0x01, 0x1A, 0x1B, 0x1D, 0x1E}),
    default_usb="qemu-xhci",
    default_sata=True,
    default_memballoon=True,
    default_video_slot=1,
    expander="pcie-expander-bus",
    acpi_index=True,
)
I440FX = MachineType(
    "i440fx",
    RootKind.PCI,
    _PIIX3,
    frozenset({0x02}),
    default_usb="",
    default_memballoon=True,
    default_video_slot=2,
    expander="pci-expander-bus",
    acpi_index=True,
)
VIRT = MachineType("virt", RootKind.PCIE, {(0, -1): "the host bridge"}, expander="pcie-expander-bus")
RISCV_VIRT = MachineType("virt", RootKind.PCIE, {(0, -1): "the host bridge"}, default_memballoon=True)
S390 = MachineType("s390-ccw", RootKind.ZPCI, {(0, -1): "the pretended root"}, default_memballoon=True)
OTHER = MachineType("other", RootKind.NOWHERE, {})

_ARM_IS_VIRT = LibvirtVersion(11, 3)
"""Libvirt 9.0 makes a machine without PCI of an Arm domain that names none."""
_X86 = frozenset({"x86_64", "i686", ""})
_ARM = frozenset({"aarch64", "armv7l", "armv6l"})
_FAMILIES = (
    (re.compile(r"q35|pc-q35-.+"), _X86, Q35),
    (re.compile(r"pc|pc-0\..+|pc-1\..+|pc-i440fx-.+|rhel\d.+"), _X86, I440FX),
    (re.compile(r"virt|virt-.+"), _ARM | {"loongarch64"}, VIRT),
    (re.compile(r"virt|virt-.+"), frozenset({"riscv64", "riscv32"}), RISCV_VIRT),
    (re.compile(r"s390-ccw-virtio.*|s390-ccw.*"), frozenset({"s390x", "s390"}), S390),
)


def machine_type(domain: Domain, libvirt: LibvirtVersion = OLDEST) -> MachineType:
    """Classify a domain by architecture and machine; what is not known is `OTHER`."""
    os_type = domain.os_type
    architecture = "" if os_type is None else os_type.get("arch", "")
    machine = "" if os_type is None else os_type.get("machine", "")
    for pattern, architectures, family in _FAMILIES:
        if architecture in architectures and pattern.fullmatch(machine):
            return family
    if not machine and architecture in _X86:
        return I440FX
    if not machine and architecture == "aarch64" and libvirt >= _ARM_IS_VIRT:
        return VIRT
    return S390 if not machine and architecture == "s390x" else OTHER
