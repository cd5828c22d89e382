"""What virt-launcher does with a domain after a hook has answered, as far as guest addresses go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from domxml.errors import BadInput
from domxml.pciaddress import read_number

if TYPE_CHECKING:
    from domxml.document import Domain, Element

_METADATA = "metadata/{http://kubevirt.io}kubevirt"
"""SMBIOS names it too, but a cluster may say otherwise there."""
LAST_PORT = 31
"""The highest index of the root ports that it adds for hotplug."""
_PLACEHOLDER = re.compile(r"placeholder-\d+", re.ASCII)
_BUSES = frozenset({"pci-root", "pcie-root", "pcie-expander-bus"})
"""Controllers that are no devices."""
_ALWAYS = frozenset({"interface", "watchdog", "rng", "memballoon"})
"""Devices of these kinds count whatever they are like."""
_LARGE = 2 << 30
_MANY, _FEW = (16, 6), (8, 3)
"""Ports in all, and those that are free at least: above two GiB of memory, and up to that."""
_UNITS = {"b": 1, "bytes": 1, "k": 1 << 10, "KiB": 1 << 10, "": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_VERSION = re.compile(r"v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:[-+].*)?", re.ASCII)
_AGAIN_FROM = {(1, 6): 4, (1, 7): 2, (1, 8): 0, (1, 9): 0}
"""Releases that place a VM without placeholders a second time, beside empty ports: from which point release on."""


def is_made_by_kubevirt(domain: Domain) -> bool:
    """Whether virt-launcher wrote it: only then other passes follow, and ports are added for hotplug."""
    return domain.root.find(_METADATA) is not None


def places_again(release: str) -> bool:
    """Whether a release such as `1.7.4` forgets where libvirt put the devices of a VM without placeholders."""
    if release in {"head", "main"}:
        return False
    found = _VERSION.fullmatch(release)
    if found is None:
        raise BadInput(
            "bad-version", f"{release[:40]!r} is not a release of KubeVirt", hint="write it as 1.7.4, or head"
        )
    major, minor, point = (int(part or "0") for part in found.groups())
    first = _AGAIN_FROM.get((major, minor))
    return first is not None and (found[3] is None or point >= first)


def placeholders(domain: Domain) -> int:
    """How many interfaces are there on the first pass only, to keep ports free."""
    return sum(map(is_placeholder, domain.devices.iterchildren("interface")))


def spare_ports(domain: Domain) -> int:
    """How many root ports it will want to add to the domain of a first pass, beside its placeholders."""
    return 0 if _on_root_complex(domain) else max(0, wanted_ports(domain) - placeholders(domain))


def coming_ports(domain: Domain) -> int:
    """How many of these there will be beside what is written in this domain; none once libvirt has placed devices."""
    placed = any(
        address.get("type") == "pci"
        for kind in ("memballoon", "disk", "interface")
        for address in domain.devices.iterfind(f"{kind}/address")
    )
    return 0 if placed or not is_made_by_kubevirt(domain) else spare_ports(domain)


def wanted_ports(domain: Domain) -> int:
    """How many ports it wants to keep free for hotplug, in whatever way."""
    used = sum(is_counted(device) for device in domain.devices if isinstance(device.tag, str))
    total, free = _MANY if _memory(domain) > _LARGE else _FEW
    return max(total - used, free)


def is_counted(device: Element) -> bool:
    """Whether KubeVirt takes it for a PCI device: `none` models too, but no vsock, filesystem, sound, video or mdev."""
    if not _is_of_such_kind(device) or is_placeholder(device) or _is_libvirts(device):
        return False
    address = device.find("address")
    return address is None or address.get("type", "pci") == "pci"


def _is_of_such_kind(device: Element) -> bool:
    match device.tag:
        case "hostdev":
            return device.get("type") == "pci"
        case "controller":
            return device.get("model") not in _BUSES
        case "disk":
            return _child(device, "target", "bus") == "virtio"
        case "input":
            return device.get("bus") == "virtio"
        case tag:
            return tag in _ALWAYS


def is_interface(device: Element) -> bool:
    """One that stays."""
    return device.tag == "interface" and not is_placeholder(device)


def is_placeholder(device: Element) -> bool:
    """An interface that only keeps a port free until the next pass."""
    return device.tag == "interface" and _PLACEHOLDER.fullmatch(_child(device, "target", "dev")) is not None


def _is_libvirts(device: Element) -> bool:
    """Only libvirt adds these: a domain that was read back has them, and at a first pass there are none."""
    if device.tag == "controller":
        return device.get("type") == "sata" or device.find("target[@chassis]") is not None
    return device.tag == "watchdog" and device.get("model") == "itco"


def _on_root_complex(domain: Domain) -> bool:
    """Its annotation puts the devices onto bus 0 by addresses that are written down."""
    return any(
        _child(element, "address", "type") == "pci" and read_number(_child(element, "address", "bus"), c=True) == 0
        for element in domain.devices.iterchildren("controller", "interface")
        if element.get("type") != "pci"
    )


def _child(element: Element, tag: str, name: str) -> str:
    child = element.find(tag)
    return "" if child is None else child.get(name, "")


def _memory(domain: Domain) -> int:
    memory = domain.root.find("memory")
    amount = None if memory is None else read_number((memory.text or "").strip(), most=1 << 63)
    return 0 if memory is None or amount is None else amount * _UNITS.get(memory.get("unit", ""), 1)
