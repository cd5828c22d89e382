"""The passes of a boot, as virt-launcher makes them: with placeholders, with libvirt's read-back, with spare ports."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lxml import etree

from domxml.document import Domain, Element
from domxml.kubevirt import LAST_PORT, is_placeholder
from hostdev.kubevirt.ports import Guest, count_ports
from hostdev.kubevirt.releases import ANY, Release
from hostdev.kubevirt.structs import round_trip, sort_devices

Hook = Callable[[bytes], bytes]
Define = Callable[[bytes], bytes]


class Pass(NamedTuple):
    """One call of the hook, and what libvirt made of its answer."""

    read: bytes
    """What virt-launcher read into its structs to make `given` of it; nothing at first."""
    given: bytes
    answered: bytes
    defined: bytes


def boot(xml: bytes, hook: Hook, define: Define, guest: Guest, release: Release = ANY) -> list[Pass]:
    """Boot a VM whose first-pass domain is `xml`, with KubeVirt's placeholders in it or without."""
    return list(passes(xml, hook, define, guest, release))


def passes(xml: bytes, hook: Hook, define: Define, guest: Guest, release: Release) -> Iterator[Pass]:
    """The same, each pass as soon as it is over."""
    original = _without_placeholders(xml)
    ports = count_ports(guest, Domain.parse(original), release)

    def call(read: bytes, given: bytes) -> Pass:
        answered = hook(given)
        return Pass(read, given, answered, define(answered))

    done = call(b"", _first(xml, original, ports.placeholders, guest, release))
    yield done
    if ports.placeholders:
        done = call(done.defined, _second(original, done.defined, release))
        yield done
    if ports.last:
        read, given = _before_last(done, release)
        yield call(read, _with_ports(given, ports.controllers))


def _first(xml: bytes, original: bytes, placeholders: int, guest: Guest, release: Release) -> bytes:
    """As it came, if it came from pass 1 of a release that counts alike."""
    if sum(map(is_placeholder, Domain.parse(xml).devices)) == placeholders:
        return xml
    domain = Domain.parse(original)
    for number in range(placeholders):
        element = etree.SubElement(domain.devices, "interface", type="ethernet")
        etree.SubElement(element, "target", dev=f"placeholder-{number}", managed="no")
        etree.SubElement(element, "model", type=guest.virtio)
        if release.placeholder_alias:
            etree.SubElement(element, "alias", name=f"placeholder-{number}")
    sort_devices(domain.devices)
    return domain.serialise()


def _without_placeholders(xml: bytes) -> bytes:
    domain = Domain.parse(xml)
    found = [element for element in domain.devices if is_placeholder(element)]
    for element in found:
        domain.devices.remove(element)
    return domain.serialise() if found else xml


def _second(original: bytes, defined: bytes, release: Release) -> bytes:
    """Everything outside <devices> as it was at first, the devices as libvirt has them, the original interfaces."""
    domain = Domain.parse(original)
    read = Domain.parse(round_trip(defined, release.structs))
    interfaces: list[Element] = [copy.deepcopy(element) for element in domain.devices.findall("interface")]
    for element in read.devices.findall("interface"):
        read.devices.remove(element)
    read.devices.extend(interfaces)
    sort_devices(read.devices)
    domain.root.replace(domain.devices, read.devices)
    return etree.tostring(domain.root)


def _before_last(done: Pass, release: Release) -> tuple[bytes, bytes]:
    """What virt-launcher reads before its last pass, and makes of it."""
    answered = round_trip(done.answered, release.structs)
    if release.last == "ports" or done.read:
        return done.answered, answered
    # The only pass so far had no read-back: it is made up for, interfaces and their addresses included.
    domain = Domain.parse(answered)
    domain.root.replace(domain.devices, Domain.parse(round_trip(done.defined, release.structs)).devices)
    return done.defined, etree.tostring(domain.root)


def _with_ports(xml: bytes, count: int) -> bytes:
    domain = Domain.parse(xml)
    indexes = [e.get("index", "") for e in domain.devices.findall("controller") if e.get("type") == "pci"]
    highest = max((int(index) for index in indexes if index.isdecimal()), default=0)
    for number in range(highest + 1, min(highest + count, LAST_PORT) + 1):
        etree.SubElement(domain.devices, "controller", type="pci", index=str(number), model="pcie-root-port")
    sort_devices(domain.devices)
    return domain.serialise()
