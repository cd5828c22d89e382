"""The passes of a boot, as virt-launcher makes them: placeholders, read-back, more root ports, hotplug off."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lxml import etree

from domxml.document import Domain, Element
from domxml.guestpci.machines import RootKind, machine_type
from hooksidecar.rehearsal.releases import ANY, Release
from hooksidecar.rehearsal.structs import round_trip

Hook = Callable[[bytes], bytes]
Define = Callable[[bytes], bytes]

PLACEHOLDERS_UP_TO = 4
LAST_INDEX = 31
UNITS = {"b": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
LARGE = 2 << 30
"""Bytes of memory above which a guest gets more spare ports."""


class Pass(NamedTuple):
    """One call of the hook, and what libvirt made of its answer."""

    read: bytes
    """What virt-launcher read into its structs to make `given` of it; nothing at first."""
    given: bytes
    answered: bytes
    defined: bytes


def boot(xml: bytes, hook: Hook, define: Define, *, root_complex: bool = False, release: Release = ANY) -> list[Pass]:
    """Boot a VM whose first-pass domain is `xml`."""
    return list(passes(xml, hook, define, root_complex=root_complex, release=release))


def passes(xml: bytes, hook: Hook, define: Define, *, root_complex: bool, release: Release) -> Iterator[Pass]:
    """The same, each pass as soon as it is over."""
    domain = Domain.parse(xml)
    pcie = machine_type(domain).root is RootKind.PCIE
    placeholders = _placeholders(domain) if pcie and not root_complex else 0

    def call(read: bytes, given: bytes) -> Pass:
        answered = hook(given)
        return Pass(read, given, answered, define(answered))

    done = call(b"", _with_placeholders(xml, placeholders))
    yield done
    if not pcie:
        return
    if placeholders or (release.second == "always" and not root_complex):
        done = call(done.defined, _second(xml, done.defined, release))
        yield done
    ports = 0 if root_complex else max(release.least_ports, _spare(domain, done.defined) - placeholders)
    if release.last == "always" or (release.last == "ports" and ports):
        read, given = _before_last(xml, done, release)
        yield call(read, _with_ports(given, ports, hotplug_off=release.hotplug_off and not root_complex))


def _before_last(xml: bytes, done: Pass, release: Release) -> tuple[bytes, bytes]:
    """What virt-launcher reads before its last pass, and makes of it."""
    if release.last == "always" and not done.read:
        return done.defined, _second(xml, done.defined, release)
    return done.answered, round_trip(done.answered, release.structs)


def _placeholders(domain: Domain) -> int:
    interfaces = len(domain.devices.findall("interface"))
    return max(0, PLACEHOLDERS_UP_TO - interfaces) if interfaces else 0


def _with_placeholders(xml: bytes, count: int) -> bytes:
    if not count:
        return xml
    domain = Domain.parse(xml)
    for number in range(count):
        element = etree.SubElement(domain.devices, "interface", type="ethernet")
        etree.SubElement(element, "model", type="virtio-non-transitional")
        etree.SubElement(element, "target", dev=f"placeholder-{number}", managed="no")
        etree.SubElement(element, "alias", name=f"ua-placeholder-{number}")
    return domain.serialise()


def _second(original: bytes, defined: bytes, release: Release) -> bytes:
    """Everything outside <devices> as it was at first, the devices as libvirt has them, the original interfaces."""
    domain = Domain.parse(original)
    read = Domain.parse(round_trip(defined, release.structs))
    interfaces: list[Element] = [copy.deepcopy(element) for element in domain.devices.findall("interface")]
    for element in read.devices.findall("interface"):
        read.devices.remove(element)
    read.devices.extend(interfaces)
    domain.root.replace(domain.devices, read.devices)
    return etree.tostring(domain.root)


def _spare(original: Domain, defined: bytes) -> int:
    """How many root ports virt-launcher wants free for hotplug."""
    devices = Domain.parse(defined).devices
    used = len(_buses(device for device in devices if (device.tag, device.get("type")) != ("controller", "pci")))
    return max(16 - used, 6) if _memory(original) > LARGE else max(8 - used, 3)


def _memory(domain: Domain) -> int:
    element = domain.root.find("memory")
    if element is None or not (element.text or "").strip().isdecimal():
        return 0
    return int(element.text or "") * UNITS.get(element.get("unit", "KiB"), 1)


def _with_ports(xml: bytes, count: int, *, hotplug_off: bool) -> bytes:
    domain = Domain.parse(xml)
    ports = [e for e in domain.devices.findall("controller") if e.get("type") == "pci"]
    index = max((int(port.get("index", "0")) for port in ports), default=0)
    for number in range(index + 1, min(index + count, LAST_INDEX) + 1):
        etree.SubElement(domain.devices, "controller", type="pci", index=str(number), model="pcie-root-port")
    if hotplug_off:
        _switch_hotplug_off(domain)
    return domain.serialise()


def _switch_hotplug_off(domain: Domain) -> None:
    """On the ports of devices that were not hotplugged."""
    occupied = _buses(device for device in domain.devices if device.tag not in {"interface", "controller"})
    for port in domain.devices.findall("controller"):
        if port.get("model") == "pcie-root-port" and int(port.get("index", "0")) in occupied:
            target = port.find("target")
            (etree.SubElement(port, "target") if target is None else target).set("hotplug", "off")


def _buses(devices: Iterable[Element]) -> set[int]:
    """Where these devices sit, but for the root bus."""
    addresses = (device.find("address") for device in devices)
    pci = (address for address in addresses if address is not None and address.get("type") == "pci")
    return {int(address.get("bus", "0"), 16) for address in pci} - {0}
