"""What libvirt lets one plug into which PCI controller, as a table."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

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
