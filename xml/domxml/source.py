"""What stands behind a host device: a PCI function or a mediated device; and which element of a domain holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias, cast

from lxml import etree

from domxml.document import Domain, Element
from domxml.errors import BadInput, Refused
from domxml.pciaddress import PciAddress

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class Mdev(NamedTuple):
    """A mediated device, by its UUID in lower case."""

    uuid: str

    def __str__(self) -> str:
        return self.uuid

    @classmethod
    def parse(cls, text: str) -> Mdev:
        """Read a UUID in the form the kernel prints."""
        if not _UUID.fullmatch(text):
            raise BadInput(
                "bad-uuid", f"{text[:60]!r} is not the UUID of a mediated device", hint="see /sys/bus/mdev/devices"
            )
        return cls(text.lower())


Source: TypeAlias = PciAddress | Mdev


def parse_source(text: str) -> Source:
    """Read a device as a user names it: a PCI address or a mediated device's UUID."""
    return Mdev.parse(text) if text.count("-") == 4 else PciAddress.parse(text)


class Holder(NamedTuple):
    """An element that gives a host device to the guest."""

    element: Element
    source: Source

    @property
    def is_hostdev(self) -> bool:
        """A <hostdev>; interfaces and NVMe disks hold PCI devices too."""
        return bool(self.element.tag == "hostdev")

    @property
    def is_disk(self) -> bool:
        """An NVMe disk."""
        return bool(self.element.tag == "disk")


def holders(domain: Domain) -> dict[Source, Holder]:
    """Who holds which host device in this domain; two holders of one device are refused, as libvirt would."""
    found: dict[Source, Holder] = {}
    for holder in _all_holders(domain):
        if holder.source in found:
            if holder.is_disk and found[holder.source].is_disk:
                continue  # Two namespaces of one NVMe controller.
            raise Refused(
                "duplicate-device",
                f"the domain already gives this device to the guest twice (<{found[holder.source].element.tag}> "
                f"and <{holder.element.tag}>)",
                subject=str(holder.source),
                hint="libvirt would say: Hostdev already exists in the domain configuration; remove one of them",
            )
        found[holder.source] = holder
    return found


_ADDRESSES = etree.XPath("devices/*/source/address")
_PCI_KINDS = {("hostdev", "pci"), ("interface", "hostdev"), ("disk", "nvme")}
"""Elements and types that hold a PCI device."""


def _all_holders(domain: Domain) -> Iterator[Holder]:
    for address in cast("list[Any]", _ADDRESSES(domain.root)):
        element = address.getparent().getparent()
        kind = element.tag, element.get("type")
        if kind == ("hostdev", "mdev"):
            yield Holder(element, Mdev.parse(address.get("uuid", "")))
        elif kind in _PCI_KINDS and (element.tag != "interface" or address.get("type") in {None, "pci"}):
            yield Holder(element, PciAddress.from_attributes(address))
