"""The running domains of a libvirt that were given a device."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.document import Domain
from domxml.errors import BadInput, PassgateError
from domxml.pciaddress import PciAddress
from hostdev.cli import optional, output
from hostdev.holding.claim import Claim, How


def ask(uri: str, address: PciAddress) -> Iterator[Claim]:
    """Every running domain whose XML names the address."""
    libvirt = optional.module("libvirt", "libvirt-python", extra="libvirt")
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    try:
        connection = libvirt.openReadOnly(uri)
        running = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        found = [(domain.name(), domain.XMLDesc()) for domain in running]
        connection.close()
    except libvirt.libvirtError as error:
        raise BadInput(
            "libvirt-unreachable",
            f"libvirt cannot be asked: {error.get_error_message()}",
            subject=uri,
            hint="try qemu:///system or qemu:///session",
        ) from None
    for name, xml in found:
        try:
            element = Domain.parse(xml.encode()).host_devices.get(address)
        except PassgateError as error:
            output.tell(f"note: domain {name} cannot be read: {error.sentence()}")
            continue
        if element is not None:
            yield Claim(How.DOMAIN, name, f"<{element.element.tag}> in {uri}", guest=name)
