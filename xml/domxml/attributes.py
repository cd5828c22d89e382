"""What one may say of a host device beyond source and address: a row an attribute, with libvirt's version gate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from lxml import etree

from domxml.document import Element
from domxml.errors import BadInput, Refused
from domxml.source import HostDevice, Mdev
from domxml.text import did_you_mean
from domxml.version import OLDEST, LibvirtVersion


class Attribute(NamedTuple):
    """One attribute: where it stands in a <hostdev>, what it may hold, since when libvirt keeps it."""

    key: str
    """As it is spelled in `--device` and in the annotation."""
    child: str
    """The child element that holds it; empty: the <hostdev> itself."""
    name: str
    legal: str
    """A regular expression."""
    meaning: str
    since: LibvirtVersion = OLDEST
    """Before this version libvirt drops it without a word."""
    pci_since: LibvirtVersion = OLDEST
    """The same for a PCI device, where mediated devices had it before."""
    mdev: bool = True
    """Whether libvirt keeps it for a mediated device."""
    fixed: Mapping[str, str] | None = None
    """Attributes that go with it in the same element."""


KEEP = "keep"
"""For `managed`: what is there stays."""
_ON_OFF = "on|off"
_VGPU = LibvirtVersion(11, 3)
"""9.0 drops the display of a PCI device; of those in between it is not known."""
_BESIDE_SOURCE = ("driver", "teaming")
"""Children that libvirt's schema wants before an alias, a rom or an address."""
NUMBER = "[1-9][0-9]{0,4}"

ATTRIBUTES: Mapping[str, Attribute] = {
    row.key: row
    for row in (
        Attribute(
            "managed", "", "managed", f"yes|no|{KEEP}", "whether libvirt takes the device from its driver and back"
        ),
        Attribute("rom.bar", "rom", "bar", _ON_OFF, "whether the guest sees the device's ROM"),
        Attribute("rom.file", "rom", "file", r"/.+", "a ROM image, as a path in the launcher"),
        Attribute("rom.enabled", "rom", "enabled", "yes|no", "no: no ROM at all"),
        Attribute("bootOrder", "boot", "order", NUMBER, "the place in the guest's boot order", mdev=False),
        Attribute("acpiIndex", "acpi", "index", NUMBER, "the number of a NIC's name in the guest (eno7 for 7)"),
        Attribute(
            "driverModel",
            "driver",
            "model",
            r"[a-z0-9_-]+",
            "the variant driver for live migration, such as mlx5_vfio_pci",
            since=LibvirtVersion(10, 0),
            mdev=False,
            fixed={"name": "vfio"},
        ),
        Attribute("display", "", "display", _ON_OFF, "show the device's display in the VM's console", pci_since=_VGPU),
        Attribute("ramfb", "", "ramfb", _ON_OFF, "a boot display until the guest's driver is loaded", pci_since=_VGPU),
        Attribute(
            "teaming",
            "teaming",
            "persistent",
            r"ua-[A-Za-z0-9_-]+",
            "the alias of the virtio interface this VF stands in for",
            mdev=False,
            fixed={"type": "transient"},
        ),
    )
}
"""By key."""


def check(key: str, value: str, source: HostDevice, libvirt: LibvirtVersion) -> None:
    """Refuse an attribute that libvirt would refuse, misread or silently drop."""
    row = ATTRIBUTES.get(key)
    if row is None:
        raise BadInput(
            "unknown-attribute",
            f"there is no attribute {key[:40]!r}",
            subject=str(source),
            hint=did_you_mean(key, ATTRIBUTES),
        )
    if not re.fullmatch(row.legal, value, re.ASCII):
        raise BadInput(
            "bad-attribute",
            f"{key}={value[:60]!r} is not possible",
            subject=str(source),
            hint=f"{key}: {row.meaning}; write {_legal_words(row)}",
        )
    mdev = isinstance(source, Mdev)
    if mdev and not row.mdev:
        raise Refused(
            "attribute-not-for-mdev",
            f"{key} is not possible for a mediated device",
            subject=str(source),
            hint=f"leave {key} out",
        )
    since = row.since if mdev else max(row.since, row.pci_since)
    if libvirt < since:
        raise Refused(
            "libvirt-too-old",
            f"{key} needs libvirt {since}, this is {libvirt} (or not told); it would be dropped without a word",
            subject=str(source),
            hint=f"leave {key} out, or say which libvirt it is with --libvirt {since}",
        )


def ensure(hostdev: Element, wanted: Mapping[str, str]) -> bool:
    """Write the wanted attributes into a <hostdev>; tell whether anything changed."""
    changed = False
    for key, value in wanted.items():
        if value == KEEP:
            continue
        row = ATTRIBUTES[key]
        element = hostdev
        if row.child:
            found = hostdev.find(row.child)
            if found is None:
                found = add_child(hostdev, row.child)
                changed = True
            element = found
        for name, text in ((row.name, value), *(row.fixed or {}).items()):
            if element.get(name) != text:
                element.set(name, text)
                changed = True
    return changed


def add_child(hostdev: Element, tag: str) -> Element:
    """Put a new child where libvirt's schema allows it."""
    child = etree.SubElement(hostdev, tag)
    source = hostdev.find("source")
    if tag in _BESIDE_SOURCE and source is not None:
        source.addprevious(child)
    return child


def missing(hostdev: Element, wanted: Mapping[str, str]) -> list[str]:
    lost = []
    for key, value in wanted.items():
        row = ATTRIBUTES[key]
        element = hostdev.find(row.child) if row.child else hostdev
        if value != KEEP and (element is None or element.get(row.name) != value):
            lost.append(key)
    return lost


def _legal_words(row: Attribute) -> str:
    if row.legal == NUMBER:
        return "a number from 1"
    return row.legal.replace("|", " or ") if re.fullmatch(r"[a-z|]+", row.legal) else f"text like {row.legal}"
