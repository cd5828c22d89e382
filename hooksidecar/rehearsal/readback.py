"""What a live libvirt makes of a domain: defined under a name nobody has, read back, forgotten."""

from __future__ import annotations

import uuid

import libvirt
from lxml import etree

from domxml.document import Domain
from domxml.errors import BadInput, Refused
from hooksidecar.rehearsal.boot import Define

IDENTITY = ("name", "uuid")


def live(uri: str) -> Define:
    """A define by the libvirt at this URI."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise BadInput(
            "libvirt-unreachable", f"cannot connect to libvirt: {error.get_error_message()}", subject=uri
        ) from None

    def define(xml: bytes) -> bytes:
        domain = Domain.parse(xml)
        before = {tag: domain.root.findtext(tag) for tag in IDENTITY}
        fresh = uuid.uuid4()
        _identify(domain, {"name": f"passgate-{fresh}", "uuid": str(fresh)})
        domain.root.set("type", connection.getType().lower())
        try:
            defined = connection.defineXML(domain.serialise().decode())
        except libvirt.libvirtError as error:
            raise Refused("libvirt-refuses", f"libvirt says: {error.get_error_message()}") from None
        try:
            read = Domain.parse(defined.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).encode())
        finally:
            defined.undefine()
        _identify(read, before)
        return read.serialise()

    return define


def _identify(domain: Domain, values: dict[str, str | None]) -> None:
    for tag, text in values.items():
        element = domain.root.find(tag)
        if element is None:
            element = etree.SubElement(domain.root, tag)
        element.text = text
    for entry in domain.root.iterfind("sysinfo/system/entry[@name='uuid']"):
        entry.text = domain.root.findtext("uuid")
