"""A stand-in for libvirt's read-back where there is no libvirt: addresses come from our own emulation of it.

It proves nothing about libvirt; the oracle tests run the same boots against the real one.
"""

from __future__ import annotations

from lxml import etree

from domxml.document import Domain
from domxml.errors import Refused
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import Prediction, predict
from domxml.guestpci.topology import Topology

REFUSES = "libvirt-refuses"
UNKNOWN = "read-back-unknown"
"""What libvirt would make of a domain is not known."""


def define(xml: bytes) -> bytes:
    """Complete a domain the way a define and a dump would."""
    domain = Domain.parse(xml)
    topology = Topology(domain)
    if topology.machine.root is RootKind.ZPCI:
        return _on_s390(domain, topology)
    prediction = predict(topology)
    if prediction.refusal:
        raise Refused(REFUSES, f"libvirt says: {prediction.refusal}")
    if prediction.unknown:
        raise Refused(
            UNKNOWN,
            f"what libvirt makes of this domain cannot be predicted: {'; '.join(prediction.unknown)}",
            hint="let a real libvirt read it back with --connect",
        )
    _place_devices(domain, prediction)
    _place_ports(domain, prediction)
    for hostdev in domain.devices.iterchildren("hostdev"):
        hostdev.set("mode", "subsystem")
    for path in ("controller[@type='usb'][@model='none']", "memballoon[@model='none']"):
        for absent in domain.devices.iterfind(path):
            for address in absent.findall("address"):
                absent.remove(address)
    return domain.serialise()


def _place_devices(domain: Domain, prediction: Prediction) -> None:
    for device, address in (prediction.addresses or {}).items():
        element = device.element
        if element is None:
            element = etree.SubElement(domain.devices, device.kind if device.index < 0 else "controller")
            if device.index >= 0:
                element.set("type", device.kind)
                element.set("index", str(device.index))
            if model := device.model or ("virtio" if device.kind == "memballoon" else ""):
                element.set("model", model)
        if device.wants:
            for stale in element.findall("address"):
                element.remove(stale)
            etree.SubElement(element, "address", {"type": "pci", **address.attributes()})


def _place_ports(domain: Domain, prediction: Prediction) -> None:
    for port in prediction.ports:
        element = None if port.device is None else port.device.element
        if element is None:
            index, model = str(port.index), port.model.name
            element = etree.SubElement(domain.devices, "controller", type="pci", index=index, model=model)
        if port.address is not None and element.find("address") is None:
            etree.SubElement(element, "address", {"type": "pci", **port.address.attributes()})


def _on_s390(domain: Domain, topology: Topology) -> bytes:
    slot = 0
    for device in topology.devices:
        if device.element is not None and device.element.tag == "hostdev" and device.wants:
            slot += 1
            address = {"type": "pci", "domain": "0", "bus": "0", "slot": str(slot), "function": "0"}
            etree.SubElement(device.element, "address", address)
    return domain.serialise()
