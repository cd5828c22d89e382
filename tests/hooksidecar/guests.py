"""Guests as KubeVirt counts their ports: of a fixture, of a domain alone, of a recorded boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domxml.document import Domain
from domxml.pciaddress import PciAddress
from hostdev.kubevirt.boot import Define, Pass, boot
from hostdev.kubevirt.ports import Guest
from hostdev.kubevirt.releases import release_of
from hostdev.vmi.vmi import Interface, Vmi, parse_vmi
from tests.domxml.domains import FOLDER, load
from tests.oracle.addresses import guest_addresses

if TYPE_CHECKING:
    # It needs the checkout; where scenarios run there is none.
    from tests.boots import Boot


def guest_of(name: str) -> Guest:
    """Of a fixture, by name."""
    return Guest.of_vmi(parse_vmi((FOLDER / f"{name}.vmi.json").read_bytes()), Domain.parse(load(name)))


def guest_of_domain(xml: bytes, annotations: dict[str, str] | None = None) -> Guest:
    """Of a domain alone: each of its interfaces is one of the spec."""
    domain = Domain.parse(xml)
    interfaces = tuple(Interface("", "") for _ in domain.devices.iterchildren("interface"))
    return Guest.of_vmi(Vmi(interfaces=interfaces, annotations=annotations or {}), domain)


def rehearsed(recorded: Boot, domain: bytes, define: Define) -> list[Pass]:
    """A recorded boot, rehearsed with a hook that changes nothing."""
    guest = Guest.of_vmi(parse_vmi(recorded.vm.vmi_json), Domain.parse(domain))
    return boot(domain, lambda xml: xml, define, guest, release_of(recorded.release))


def placed(xml: bytes) -> dict[str, PciAddress]:
    """Every device that has an address."""
    return {key: address for key, address in guest_addresses(xml).items() if address is not None}
