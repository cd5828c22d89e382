"""From a machine's picture to what a guest will see of it."""

from __future__ import annotations

from collections.abc import Iterable

from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from hostdev.fit.inputs import HostFunction, Node, vendor_of
from hostdev.inventory.machine import Machine


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
