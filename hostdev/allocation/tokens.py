"""One word of a device list: what kind of device it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from domxml.errors import BadInput
from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from domxml.source import Mdev
from domxml.text import listed, printable
from hostdev.allocation.allocation import Device, Opaque, Usb
from hostdev.findings.allocation import DEVICE_NAME_UNREADABLE, DEVICE_NOT_FOR_VFIO

AUXILIARY = "auxiliary device"
TOKEN_LIMIT = 60

_USB = re.compile(r"([0-9]{1,4}):([0-9]{1,4})", re.ASCII)
_AUXILIARY = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_-]+\.[0-9]+", re.ASCII)


def split(value: str) -> tuple[str, ...]:
    """The words of a comma list; blanks and empty words are dropped."""
    return tuple(word for part in value.split(",") if (word := part.strip()))


def classify(word: str) -> Device:
    """Read one word as a device; what is none is kept as it stands, to be told."""
    for parse in (PciAddress.parse, Mdev.parse):
        try:
            return parse(word)
        except BadInput:
            continue
    usb = _USB.fullmatch(word)
    if usb:
        return Usb(int(usb[1]), int(usb[2]))
    return Opaque(printable(word, TOKEN_LIMIT), AUXILIARY if _AUXILIARY.fullmatch(word) else "")


def devices(words: Iterable[str]) -> tuple[Device, ...]:
    """Each device once, in the order of the words."""
    return tuple(dict.fromkeys(map(classify, words)))


def remarks(found: Iterable[Device], subject: str, evidence: tuple[Evidence, ...] = ()) -> Iterator[Finding]:
    """Tell of the devices that cannot be passed, and of the words that name none."""
    strange = [device for device in found if isinstance(device, Usb | Opaque)]
    unreadable = [device for device in strange if not _kind(device)]
    known = [f"{_kind(device)} {device}" for device in strange if _kind(device)]
    if unreadable:
        text = f"cannot be read as a device: {listed(unreadable)}"
        yield DEVICE_NAME_UNREADABLE.found(subject, text, evidence=evidence)
    if known:
        yield DEVICE_NOT_FOR_VFIO.found(subject, f"left alone: {listed(known)}", evidence=evidence)


def _kind(device: Usb | Opaque) -> str:
    return "USB device" if isinstance(device, Usb) else device.kind
