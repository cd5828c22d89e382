"""How many ports KubeVirt keeps free for hotplug, and how: placeholder interfaces first, then root ports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from lxml import etree

from domxml.document import Domain, Element
from domxml.errors import Refused
from hooksidecar.rehearsal.releases import MACHINE, Release
from hostdev.vmi.vmi import Vmi

ROOT_COMPLEX = "kubevirt.io/placePCIDevicesOnRootComplex"
SLOT_COUNT = "kubevirt.io/pci-interface-slot-count"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "s390x": "s390x"}
"""Of the domain, as Kubernetes calls them."""
PCIE_ARCHITECTURES = ("amd64", "arm64", "")
INTERFACES = 4
"""What placeholders fill up to, in VMs that have an interface."""
LAST_INDEX = 31
"""Of a root port that KubeVirt adds."""
UNITS = {"b": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
LARGE = 2 << 30
"""Bytes of memory above which a guest gets more spare ports."""
BUSES = frozenset({"pci-root", "pcie-root", "pcie-expander-bus"})
"""Controllers that are no devices."""
ALWAYS = frozenset({"interface", "watchdog", "rng", "memballoon"})
"""Devices of these kinds count whatever they are like."""
PLACEHOLDER = re.compile(r"placeholder-\d+")


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
    spare = 0 if guest.on_root_complex else _spare(domain)
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


def _spare(domain: Domain) -> int:
    used = sum(map(is_counted, domain.devices.iterchildren(etree.Element)))
    return max(16 - used, 6) if _memory(domain) > LARGE else max(8 - used, 3)


def _memory(domain: Domain) -> int:
    element = domain.root.find("memory")
    if element is None or not (element.text or "").strip().isdecimal():
        return 0
    return int(element.text or "") * UNITS.get(element.get("unit", "KiB"), 1)


def is_counted(device: Element) -> bool:
    """Whether KubeVirt takes it for a PCI device: `none` models too, but no vsock, filesystem, sound, video or mdev."""
    address = device.find("address")
    if is_placeholder(device) or _is_libvirts(device) or (address is not None and address.get("type", "pci") != "pci"):
        return False
    said = {
        "hostdev": device.get("type") == "pci",
        "controller": device.get("model") not in BUSES,
        "disk": device.find("target[@bus='virtio']") is not None,
        "input": device.get("bus") == "virtio",
    }
    return said.get(str(device.tag), device.tag in ALWAYS)


def _is_libvirts(device: Element) -> bool:
    """Only libvirt adds these: a domain that was read back has them, and at a first pass there are none."""
    if device.tag == "controller":
        return device.get("type") == "sata" or device.find("target[@chassis]") is not None
    return device.tag == "watchdog" and device.get("model") == "itco"


def is_interface(device: Element) -> bool:
    """One that stays."""
    return device.tag == "interface" and not is_placeholder(device)


def is_placeholder(device: Element) -> bool:
    """An interface that only keeps a port free until the next pass."""
    target = device.find("target") if device.tag == "interface" else None
    return target is not None and PLACEHOLDER.fullmatch(target.get("dev", "")) is not None
