"""How many ports KubeVirt keeps free for hotplug, and how: placeholder interfaces first, then root ports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.document import Domain
from domxml.errors import Refused
from domxml.kubevirt import wanted_ports
from hostdev.kubevirt.releases import MACHINE, Release
from hostdev.vmi.vmi import Vmi

ROOT_COMPLEX = "kubevirt.io/placePCIDevicesOnRootComplex"
SLOT_COUNT = "kubevirt.io/pci-interface-slot-count"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "s390x": "s390x"}
"""Of the domain, as Kubernetes calls them."""
PCIE_ARCHITECTURES = ("amd64", "arm64", "")
INTERFACES = 4
"""What placeholders fill up to, in VMs that have an interface."""


class Guest(NamedTuple):
    """What KubeVirt counts by, as the VMI has it."""

    interfaces: int
    """All of the spec, those without an <interface> in the domain too."""
    machine: str
    architecture: str = ""
    transitional: bool = False
    annotations: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def of_vmi(cls, vmi: Vmi, domain: Domain) -> Guest:
        """As virt-launcher sees it; what admission has not filled in yet, the domain tells."""
        found = domain.os_type
        machine = vmi.machine or ("" if found is None else found.get("machine", ""))
        architecture = vmi.architecture or ("" if found is None else ARCHITECTURES.get(found.get("arch", ""), ""))
        return cls(len(vmi.interfaces), machine, architecture, vmi.virtio_transitional, vmi.annotations)

    @property
    def virtio(self) -> str:
        """The model of its virtio devices."""
        if self.architecture == "s390x":
            return "virtio"
        return "virtio-transitional" if self.transitional else "virtio-non-transitional"

    @property
    def on_root_complex(self) -> bool:
        """Devices sit on bus 0, so that nothing is kept free for others."""
        return self.annotations.get(ROOT_COMPLEX) == "true"


class Ports(NamedTuple):
    """What is kept free."""

    placeholders: int = 0
    controllers: int = 0
    last: bool = False
    """Whether there is one more define for them."""


def count_ports(guest: Guest, domain: Domain, release: Release) -> Ports:
    """Count as this release does for the domain of the first pass, before any hook has seen it."""
    spare = 0 if guest.on_root_complex else wanted_ports(domain)
    if release.all_placeholders:
        return Ports(spare)
    placeholders = _placeholders(guest, release) if _is_among(guest, release.placeholders_on) else 0
    if release.last == "never" or not _is_among(guest, release.controllers_on):
        return Ports(placeholders)
    controllers = max(0, spare - placeholders)
    return Ports(placeholders, controllers, release.last == "always" or controllers > 0)


def _is_among(guest: Guest, those: str) -> bool:
    if those and guest.architecture not in PCIE_ARCHITECTURES:
        return False
    return those != MACHINE or "q35" in guest.machine or guest.machine.startswith("virt")


def _placeholders(guest: Guest, release: Release) -> int:
    slots = guest.annotations.get(SLOT_COUNT)
    if slots is not None and release.slot_count:
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", slots):
            raise Refused(
                "slot-count-invalid",
                f"{SLOT_COUNT}: {slots!r} is no number; virt-launcher does not start such a VM",
                hint="virt-handler writes it; take the annotation away, at the VM's template too",
            )
        return max(0, int(slots) - guest.interfaces)
    return max(0, INTERFACES - guest.interfaces) if guest.interfaces and not guest.on_root_complex else 0
