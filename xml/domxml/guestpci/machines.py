"""What a machine type brings along: its root bus, the slots its chipset keeps, the devices libvirt adds to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from domxml.document import Domain
from domxml.version import OLDEST, LibvirtVersion


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
