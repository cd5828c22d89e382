"""A live libvirt as judge of what we wrote. It is asked, and nothing stays defined."""

from __future__ import annotations

import uuid

import libvirt
from lxml import etree

from domxml.document import Domain
from domxml.errors import BadInput, Refused
from domxml.version import LibvirtVersion


class Connection:
    """One connection; errors come back as sentences, never on libvirt's own standard error."""

    def __init__(self, uri: str) -> None:
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        try:
            self._connection = libvirt.open(uri)
        except libvirt.libvirtError as error:
            raise BadInput(
                "libvirt-unreachable",
                f"cannot connect to libvirt: {error.get_error_message()}",
                subject=uri,
                hint="try qemu:///system, qemu:///session or test:///default",
            ) from None

    @property
    def version(self) -> LibvirtVersion:
        """Which libvirt answers."""
        return LibvirtVersion.from_number(self._connection.getLibVersion())

    def validate(self, xml: bytes) -> None:
        """Let libvirt read the domain and hand out addresses, as it would for a define."""
        try:
            self._connection.domainXMLToNative("qemu-argv", xml.decode(), 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                raise _refused(error) from None
            self._define(xml)

    def _define(self, xml: bytes) -> None:
        """For drivers that make no command line: define it under a name nobody has, and forget it at once."""
        domain = Domain.parse(xml)
        identity = uuid.uuid4()
        for tag, text in (("name", f"passgate-{identity}"), ("uuid", str(identity))):
            element = domain.root.find(tag)
            if element is None:
                element = etree.SubElement(domain.root, tag)
            element.text = text
        kinds = {self._connection.getType().lower()} - {"qemu"}
        domain.root.set("type", next(iter(kinds), "qemu"))
        try:
            defined = self._connection.defineXMLFlags(domain.serialise().decode(), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        except libvirt.libvirtError as error:
            raise _refused(error) from None
        defined.undefine()


def _refused(error: libvirt.libvirtError) -> Refused:
    return Refused(
        "libvirt-refuses",
        f"libvirt says: {error.get_error_message()}",
        hint="the XML was not printed; run with -o plan to see what was planned",
    )
