"""Makes a domain of a KubeVirt node, or of another libvirt, one that a root can define: it has another QEMU, no KVM."""

from __future__ import annotations

from lxml import etree

from hooksidecar.rehearsal.readback import fit_to_version
from tests.oracle.roots import ARCHITECTURES

OWN_ALIAS = "ua-passgate-"

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def portable(xml: bytes, version: int, *, validate: bool = False) -> str:
    """The domain as a libvirt of this version can define it here. What is not XML is left to libvirt to refuse."""
    try:
        root = etree.fromstring(xml, _PARSER)
    except etree.XMLSyntaxError:
        return xml.decode(errors="replace")
    _emulate(root)
    fit_to_version(root, version)
    if validate:
        _satisfy_schema(root)
    return etree.tostring(root, encoding="unicode")


def _emulate(root: etree._Element) -> None:
    if root.get("type") == "kvm":
        root.set("type", "qemu")
    architecture = next((element.get("arch") for element in root.iterfind("os/type")), None)
    if architecture in ARCHITECTURES:
        for emulator in root.iterfind("devices/emulator"):
            emulator.text = f"/usr/bin/qemu-system-{architecture}"


def _satisfy_schema(root: etree._Element) -> None:
    """Write as the schema wants it what virt-launcher writes otherwise, and libvirt's parser takes all the same."""
    for sysinfo in root.iterfind("sysinfo"):
        for part in [part for part in sysinfo if len(part) == 0]:
            sysinfo.remove(part)
    for hostdev in root.iterfind("devices/hostdev"):
        alias = hostdev.find("alias")
        if alias is None or not alias.get("name", "").startswith(OWN_ALIAS):
            _complete(hostdev)


def _complete(hostdev: etree._Element) -> None:
    hostdev.set("mode", hostdev.get("mode", "subsystem"))
    for driver in hostdev.findall("driver"):
        if not driver.attrib:
            hostdev.remove(driver)
    for address in hostdev.iterfind("source/address"):
        address.attrib.pop("type", "")
