"""The passthrough host as a table: every device, where the kernel sees it and which IOMMU group it lands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domxml.pciaddress import PciAddress

NICS = frozenset({"e1000", "e1000e", "igb"})
PORTS = frozenset({"pcie-root-port", "xio3130-downstream"})
VF_LAYOUT: Mapping[str, tuple[int, int]] = {"igb": (0x80, 2), "nvme": (1, 1)}
"""First VF offset and VF stride of the SR-IOV capability, in routing ids."""
SPARE_DISKS = ("spare0", "spare1", "spare2")
"""Drives without content, by the ids that parts name them by."""
NODE_OF_BRIDGE: Mapping[int, int] = {0x40: 0, 0x80: 1}
"""NUMA node by the first bus of the host bridge; the main bridge has none."""


@dataclass(frozen=True, slots=True)
class Part:
    """One `-device`, where the kernel finds it, and the IOMMU group it shares (alone where none is named)."""

    model: str
    id: str
    bus: str = ""
    addr: str = ""
    at: str = ""
    group: str = ""
    vfs: int = 0
    """How many VFs the host creates."""
    properties: str = ""

    @property
    def address(self) -> PciAddress:
        """Where the firmware and the kernel put it."""
        return PciAddress.parse(self.at)

    def vf(self, number: int) -> PciAddress:
        """The address of a virtual function, counted from 0."""
        offset, stride = VF_LAYOUT[self.model]
        routing_id = (self.address.slot << 3 | self.address.function) + offset + number * stride
        return PciAddress(self.address.domain, self.address.bus, routing_id >> 3, routing_id & 7)


PARTS = (
    # The IOMMU comes first: QEMU puts only later devices behind it.
    Part("intel-iommu", "iommu", properties="intremap=on,caching-mode=on"),
    Part("virtio-blk-pci", "disk", "pcie.0", "2.0", "00:02.0", properties="drive=disk-image"),
    Part("virtio-9p-pci", "share", "pcie.0", "3.0", "00:03.0", properties="fsdev=share-directory,mount_tag=share"),
    # Node 0: SR-IOV NIC and disk, a display with its audio function (one group), a lone endpoint.
    Part("pxb-pcie", "bridge0", "pcie.0", "10.0", "00:10.0", properties="bus_nr=0x40,numa_node=0"),
    Part("pcie-root-port", "port-igb0", "bridge0", "0.0", "40:00.0"),
    Part("igb", "igb0", "port-igb0", "0.0", "41:00.0", vfs=3),
    Part("pcie-root-port", "port-nvme0", "bridge0", "1.0", "40:01.0"),
    Part("nvme-subsys", "subsystem0", properties="nqn=subsystem0"),
    Part(
        "nvme",
        "nvme0",
        "port-nvme0",
        "0.0",
        "42:00.0",
        vfs=2,
        properties="serial=disk0,subsys=subsystem0,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,"
        "max_ioqpairs=12,msix_qsize=9",
    ),
    Part("pcie-root-port", "port-display", "bridge0", "2.0", "40:02.0"),
    Part("bochs-display", "display", "port-display", "0.0", "43:00.0", "display", properties="multifunction=on"),
    Part("intel-hda", "audio", "port-display", "0.1", "43:00.1", "display"),
    Part("pcie-root-port", "port-lone", "bridge0", "3.0", "40:03.0"),
    Part("edu", "lone", "port-lone", "0.0", "44:00.0"),
    # Node 1: SR-IOV NIC, a switch whose downstream ports share a group with their own NIC only, a disk.
    Part("pxb-pcie", "bridge1", "pcie.0", "11.0", "00:11.0", properties="bus_nr=0x80,numa_node=1"),
    Part("pcie-root-port", "port-igb1", "bridge1", "0.0", "80:00.0"),
    Part("igb", "igb1", "port-igb1", "0.0", "81:00.0", vfs=3),
    Part("pcie-root-port", "port-switch", "bridge1", "1.0", "80:01.0"),
    Part("x3130-upstream", "switch", "port-switch", "0.0", "82:00.0"),
    Part("xio3130-downstream", "switch-port0", "switch", "0.0", "83:00.0", "switch-nic0"),
    Part("e1000e", "switch-nic0", "switch-port0", "0.0", "84:00.0", "switch-nic0"),
    Part("xio3130-downstream", "switch-port1", "switch", "1.0", "83:01.0", "switch-nic1"),
    Part("e1000e", "switch-nic1", "switch-port1", "0.0", "85:00.0", "switch-nic1"),
    Part("pcie-root-port", "port-nvme1", "bridge1", "2.0", "80:02.0"),
    Part("nvme-subsys", "subsystem1", properties="nqn=subsystem1"),
    Part("nvme", "nvme1", "port-nvme1", "0.0", "86:00.0", properties="serial=disk1,subsys=subsystem1"),
    # Disks to lay things on: two namespaces under the kernel's own multipath, and one of the chipset.
    Part("nvme-ns", "namespace0", properties="drive=spare0,bus=nvme1,nsid=1"),
    Part("nvme-ns", "namespace1", properties="drive=spare1,bus=nvme1,nsid=2"),
    Part("ide-hd", "sata0", properties="drive=spare2,bus=ide.0"),
    # No node: two NICs on conventional PCI and two below one slot without ACS (bad), a port without ACS (good).
    Part("pcie-root-port", "port-pci", "pcie.0", "7.0", "00:07.0"),
    Part("pcie-pci-bridge", "pci", "port-pci", "0.0", "01:00.0", "pci"),
    Part("e1000", "pci-nic0", "pci", "1.0", "02:01.0", "pci"),
    Part("e1000", "pci-nic1", "pci", "2.0", "02:02.0", "pci"),
    Part("pcie-root-port", "port-twin0", "pcie.0", "9.0", "00:09.0", "twins", 0, "multifunction=on,disable-acs=on"),
    Part("pcie-root-port", "port-twin1", "pcie.0", "9.1", "00:09.1", "twins", 0, "disable-acs=on"),
    Part("e1000e", "twin0", "port-twin0", "0.0", "03:00.0", "twins"),
    Part("e1000e", "twin1", "port-twin1", "0.0", "04:00.0", "twins"),
    Part("pcie-root-port", "port-no-acs", "pcie.0", "a.0", "00:0a.0", "no-acs", 0, "disable-acs=on"),
    Part("e1000e", "no-acs", "port-no-acs", "0.0", "05:00.0", "no-acs"),
    Part("pci-testdev", "integrated", "pcie.0", "d.0", "00:0d.0"),
)
CHIPSET: Mapping[str, str] = {"00:00.0": "root", "00:1f.0": "ich9", "00:1f.2": "ich9", "00:1f.3": "ich9"}
"""What q35 brings along, and the groups it lands in."""

BY_ID: Mapping[str, Part] = {part.id: part for part in PARTS}
SRIOV = tuple(part for part in PARTS if part.vfs)


def arguments() -> list[str]:
    """The table as QEMU's command line has it."""
    return [argument for number, part in enumerate(PARTS, 1) for argument in _arguments(part, number)]


def groups() -> frozenset[frozenset[PciAddress]]:
    """Who shares an IOMMU group with whom, once every VF is there; each VF is alone."""
    named: dict[str, set[PciAddress]] = {}
    for at, group in CHIPSET.items():
        named.setdefault(f"chipset {group}", set()).add(PciAddress.parse(at))
    for part in PARTS:
        if part.at:
            named.setdefault(part.group or f"alone {part.id}", set()).add(part.address)
    vfs = {frozenset({part.vf(number)}) for part in SRIOV for number in range(part.vfs)}
    return frozenset({frozenset(members) for members in named.values()} | vfs)


def node_of(address: PciAddress) -> int:
    """The NUMA node that sysfs shows for a device, -1 for none."""
    return NODE_OF_BRIDGE.get(address.bus & 0xC0, -1)


def _arguments(part: Part, number: int) -> list[str]:
    device = [part.model, f"id={part.id}"]
    device += [f"bus={part.bus}", f"addr={part.addr}"] if part.bus else []
    backend: list[str] = []
    if part.model in NICS:
        backend = ["-netdev", f"hubport,id={part.id}-network,hubid=0"]
        # Without a boot ROM: the firmware would spend a second on each.
        device += [f"netdev={part.id}-network", "romfile="]
    if part.model in PORTS:
        device += [f"chassis={number}", f"slot={number}"]
    if part.properties:
        device.append(part.properties)
    return [*backend, "-device", ",".join(device)]
