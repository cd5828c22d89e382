"""A double of virt-launcher's Go structs: what of a domain survives being read into them and written again.

What is here, every release has; what only some have is in `releases`.
"""

from __future__ import annotations

from lxml import etree

from domxml.document import Domain, Element
from hostdev.kubevirt.releases import ANY, Structs

DOMAIN_CHILDREN = frozenset(
    {
        *("name", "uuid", "memory", "currentMemory", "maxMemory", "memoryBacking", "os", "sysinfo", "devices", "clock"),
        *("resource", "metadata", "features", "cpu", "vcpu", "vcpus", "cputune", "numatune", "iothreads"),
        "launchSecurity",
    }
)
DEVICES = (
    *("emulator", "interface", "channel", "hostdev", "panic", "controller", "video", "graphics", "memballoon", "disk"),
    *("input", "serial", "console", "watchdog", "rng", "filesystem", "redirdev", "sound", "tpm", "vsock", "memory"),
    "iommu",
)
"""In the order in which they are written; `releases` says where some of them are missing."""
NEWER = frozenset({"panic", "iommu"})
"""Those that not every release has."""
ADDRESSED = frozenset(
    {"interface", "hostdev", "controller", "memballoon", "disk", "input", "watchdog", "rng", "memory", "iommu"}
)
"""Those that keep their address: libvirt places a vsock, a filesystem, a sound card or a video card anew."""
ADDRESS = frozenset(
    {"type", "domain", "bus", "slot", "function", "controller", "target", "unit", "uuid", "device"}
    | {"cssid", "ssid", "devno"}
)
KEPT: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "hostdev": (
        frozenset({"type", "managed", "mode", "model", "display", "ramfb"}),
        frozenset({"source", "boot", "address", "alias", "driver"}),
    ),
    "controller": (frozenset({"type", "index", "model"}), frozenset({"driver", "alias", "address"})),
    "interface": (
        frozenset({"type", "trustGuestRxFilters"}),
        frozenset(
            {
                *("source", "target", "model", "mac", "mtu", "bandwidth", "boot", "link", "filterref", "alias"),
                *("driver", "rom", "address", "acpi", "backend", "portForward"),
            }
        ),
    ),
    "console": (frozenset({"type"}), frozenset({"target", "source", "alias"})),
    "graphics": (
        frozenset({"type", "autoport", "defaultMode", "port", "tlsPort", "passwdValidTo"}),
        frozenset({"listen"}),
    ),
}
"""Attributes and children that the structs of a device have; other devices are taken to survive whole."""
INNER: dict[str, dict[str, frozenset[str]]] = {
    "video": {"model": frozenset({"type", "heads", "ram", "vram", "vgamem"})},
    "serial": {"target": frozenset({"port"})},
}
"""Children that come back with no more than this in them, in every release."""
SINGLE = ("rng", "memballoon", "vsock", "memory")
INNER_LOST = {"memoryBacking": ("locked", "discard"), "features": ("ioapic", "msrs", "tseg", "poll-control")}


def round_trip(xml: bytes, structs: Structs = ANY.structs) -> bytes:
    """Read a domain into the structs and write it again: UTF-8, no declaration, unknown things gone."""
    domain = Domain.parse(xml)
    for child in list(domain.root):
        if not isinstance(child.tag, str) or child.tag not in DOMAIN_CHILDREN | structs.domain:
            domain.root.remove(child)
        for lost in INNER_LOST.get(str(child.tag), ()):
            for element in child.findall(lost):
                child.remove(element)
    known = frozenset(DEVICES) - NEWER | structs.devices
    seen: set[str] = set()
    for device in list(domain.devices):
        tag = str(device.tag)
        again = tag in SINGLE and tag in seen
        seen.add(tag)
        if tag not in known or again:
            domain.devices.remove(device)
        else:
            _device(device, structs)
    sort_devices(domain.devices)
    etree.cleanup_namespaces(domain.root)
    return etree.tostring(domain.root, encoding="utf-8")


def sort_devices(devices: Element) -> None:
    """Put them into the order of the structs."""
    order = {tag: at for at, tag in enumerate(DEVICES)}
    devices[:] = sorted(devices, key=lambda device: order.get(str(device.tag), len(order)))


def _device(device: Element, structs: Structs) -> None:
    attributes, children = KEPT.get(str(device.tag), (None, None))
    if attributes is not None and children is not None:
        _strip(device, attributes, children | _more_children(str(device.tag), structs))
    for address in device.findall("address") if device.tag not in ADDRESSED else ():
        device.remove(address)
    for child, kept in _inner(str(device.tag), structs):
        for element in device.findall(child):
            _strip(element, kept, kept)
    for address in device.iter("address"):
        _strip(address, ADDRESS, frozenset())
        for name in structs.always:
            address.set(name, address.get(name, ""))
    if device.tag == "interface" and device.find("source") is None:
        etree.SubElement(device, "source")


def _more_children(tag: str, structs: Structs) -> frozenset[str]:
    if tag == "controller":
        return structs.controller | (frozenset({"target"}) if structs.target else frozenset())
    return frozenset({"acpi"}) if tag == "hostdev" and structs.acpi else frozenset()


def _inner(tag: str, structs: Structs) -> tuple[tuple[str, frozenset[str]], ...]:
    """Children that come back with no more than this in them."""
    if tag == "controller":
        return (("target", structs.target),)
    if tag == "hostdev":
        return (("driver", structs.driver), ("acpi", structs.acpi))
    return tuple(INNER.get(tag, {}).items())


def _strip(element: Element, attributes: frozenset[str], children: frozenset[str]) -> None:
    for name in set(element.attrib) - attributes:
        del element.attrib[name]
    for child in list(element):
        if child.tag not in children:
            element.remove(child)
