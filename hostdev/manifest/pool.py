"""A pool of devices that is one resource, and what the command line says of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.allocation.dialects import DIALECTS
from hostdev.inventory import pciclasses
from hostdev.inventory.machine import MdevType, PciFunction, Role
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.kubelet.resourcename import variable_name
from hostdev.manifest import images
from hostdev.units.unit import Unit
from hostdev.vmi.request import Request

Document = dict[str, Any]


class Wanted(NamedTuple):
    """Names and numbers; None and empty: chosen for the user."""

    by: By | None = None
    resource: str = ""
    name: str = "passgate"
    namespace: str = "default"
    image: str = images.HOOK
    disk: str = images.DISK
    node: str = ""
    vlan: int | None = None
    vfs: int | None = None
    kubevirt: tuple[str, str] = ("kubevirt", "kubevirt")
    """Namespace and name of the KubeVirt object."""
    operator: str = "sriov-network-operator"
    """The namespace of the SR-IOV network operator."""
    guests: tuple[PciAddress, ...] = ()
    """Guest addresses, one a device in the order in which they were named."""
    functions: str = ""
    """The functions of a card, for words that do not say it."""
    extended: bool = False
    """The VM asks for a resource of claims by its name, as for that of a device plugin."""
    bond: bool = False
    """The VM's interfaces with a device are one in the guest."""


_ETHERNET = 0x0200
_KUBEVIRTS = "PCI_RESOURCE_"


class By(StrEnum):
    """The component that hands devices out to pods."""

    KUBEVIRT = "kubevirt"
    PLUGIN = "plugin"
    PASSGATE = "passgate"
    CLAIM = "claim"
    OPERATOR = "operator"
    CNI = "cni"


OFFERED = frozenset({By.PASSGATE, By.CLAIM})
"""Who hands out units, as a NodeState declares it."""
_KUBEVIRT_READS = frozenset({By.KUBEVIRT, *OFFERED})
"""Whose variables KubeVirt reads, whatever the resource is called."""


class Word(NamedTuple):
    """What was typed: its place among the others, the word alone, and what its settings ask for."""

    number: int
    text: str
    request: Request


class Pool(NamedTuple):
    """One resource."""

    by: By
    resource: str
    """The operator's has no domain: the operator puts its own before it."""
    name: str
    """Objects and devices are named after it."""
    functions: tuple[PciFunction, ...]
    """The devices that were selected; of a mediated device's type its parents."""
    wanted: int = 1
    """How many of them the VM gets."""
    outright: bool = False
    """They were named by their addresses."""
    port: PciFunction | None = None
    """The PF of a network card whose VFs they are."""
    vfs: int = 0
    """How many VFs the port shall have."""
    mdev: MdevType | None = None
    words: tuple[Word, ...] = ()
    """What each of the VM's devices was named by."""
    units: tuple[Unit, ...] = ()
    """What the agent offers: a unit for each of the functions, which is its primary one."""

    @property
    def selectors(self) -> tuple[str, ...]:
        """Vendor and device of each kind of them."""
        return tuple(dict.fromkeys(map(selector, self.functions)))

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of the VM's devices."""
        numbers = [f"-{number}" for number in range(1, self.wanted + 1)] if self.wanted > 1 else [""]
        return tuple(word.request.name or self.name + number for word, number in zip(self.words, numbers, strict=True))

    @property
    def display(self) -> bool:
        """Whether KubeVirt's spec has them among its GPUs."""
        return all(pciclasses.base(function.class_code) == pciclasses.DISPLAY for function in self.functions)

    @property
    def in_spec(self) -> bool:
        """Whether KubeVirt itself puts them into the VM: its own, and those of plugins that speak as it does."""
        return self.port is None and (self.by in _KUBEVIRT_READS or speaks_kubevirt(self.resource))


def speaks_kubevirt(resource: str) -> bool:
    """Tell whether the plugin of a resource names devices in the variables that KubeVirt reads."""
    variable = variable_name(resource)
    return any(start != _KUBEVIRTS and variable.startswith(start) for row in DIALECTS for start in row.starts)


def selector(function: PciFunction) -> str:
    """`10DE:1EB8`, as KubeVirt's documentation writes it."""
    return f"{function.vendor:04X}:{function.device:04X}"


def of_network(function: PciFunction) -> bool:
    """A VF of a network card, or the card's PF while the host drives it."""
    if pciclasses.subclass(function.class_code) != _ETHERNET:
        return False
    return function.role is Role.VF or (function.role is Role.PF and not is_on_vfio(function))
