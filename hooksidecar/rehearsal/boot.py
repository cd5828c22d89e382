"""The passes of a boot, as virt-launcher makes them: placeholders, read-back, more root ports, hotplug off."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from domxml.document import Domain, Element
from hooksidecar.rehearsal.structs import round_trip

Hook = Callable[[bytes], bytes]
Define = Callable[[bytes], bytes]

PLACEHOLDERS_UP_TO = 4
LAST_INDEX = 31


@dataclass(frozen=True, slots=True)
class Pass:
    """One call of the hook, and what libvirt made of its answer."""

    given: bytes
    answered: bytes
    defined: bytes


def boot(xml: bytes, hook: Hook, define: Define, *, root_complex: bool = False) -> list[Pass]:
    """Boot a VM whose first-pass domain is `xml`; answer every pass."""
    original = Domain.parse(xml)
    machine = original.os_type
    pcie = machine is not None and not machine.get("machine", "").startswith(("pc", "s390"))
    passes = [_pass(_with_placeholders(xml) if pcie and not root_complex else xml, hook, define)]
    if not pcie:
        return passes
    passes.append(_pass(_second(xml, passes[0].defined), hook, define))
    if not root_complex:
        passes.append(_pass(_third(passes[1].answered), hook, define))
    return passes


def _pass(given: bytes, hook: Hook, define: Define) -> Pass:
    answered = hook(given)
    return Pass(given, answered, define(answered))


def _with_placeholders(xml: bytes) -> bytes:
    domain = Domain.parse(xml)
    interfaces = domain.devices.findall("interface")
    if not interfaces:
        return xml
    for number in range(max(0, PLACEHOLDERS_UP_TO - len(interfaces))):
        element = etree.SubElement(domain.devices, "interface", type="ethernet")
        etree.SubElement(element, "model", type="virtio-non-transitional")
        etree.SubElement(element, "target", dev=f"placeholder-{number}", managed="no")
        etree.SubElement(element, "alias", name=f"ua-placeholder-{number}")
    return domain.serialise()


def _second(original: bytes, defined: bytes) -> bytes:
    """Everything outside <devices> as it was at first, the devices as libvirt has them, the original interfaces."""
    domain = Domain.parse(original)
    read = Domain.parse(round_trip(defined))
    interfaces: list[Element] = [copy.deepcopy(element) for element in domain.devices.findall("interface")]
    for element in read.devices.findall("interface"):
        read.devices.remove(element)
    read.devices.extend(interfaces)
    domain.root.replace(domain.devices, read.devices)
    return etree.tostring(domain.root)


def _third(answered: bytes) -> bytes:
    domain = Domain.parse(round_trip(answered))
    ports = [e for e in domain.devices.findall("controller") if e.get("type") == "pci"]
    index = max((int(port.get("index", "0")) for port in ports), default=0)
    for _ in range(6):
        if index >= LAST_INDEX:
            break
        index += 1
        etree.SubElement(domain.devices, "controller", type="pci", index=str(index), model="pcie-root-port")
    _switch_hotplug_off(domain)
    return domain.serialise()


def _switch_hotplug_off(domain: Domain) -> None:
    occupied = {
        int(address.get("bus", "0"), 16)
        for device in domain.devices
        if device.tag not in {"interface", "controller"} and (address := device.find("address")) is not None
        if address.get("type") == "pci"
    }
    for port in domain.devices.findall("controller"):
        if port.get("model") == "pcie-root-port" and int(port.get("index", "0")) in occupied:
            target = port.find("target")
            (etree.SubElement(port, "target") if target is None else target).set("hotplug", "off")
