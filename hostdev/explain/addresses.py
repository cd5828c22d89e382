"""PCI addresses in a plain text, in all the ways in which programs and people spell them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from domxml.pciaddress import PciAddress

_FULL = re.compile(r"(?:\bpci:|(?<![\w:.]))([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])(?!\w|\.\w|:[0-9a-f])")
_SHORT = re.compile(r"(?<![\w:.])([0-9a-f]{2}):([01][0-9a-f])\.([0-7])(?!\w|\.\w|:[0-9a-f])")
_NODEDEV = re.compile(r"\bpci_([0-9a-f]{4,8})_([0-9a-f]{2})_([01][0-9a-f])_([0-7])\b")
_ELEMENT = re.compile(
    r"(?:domain=0x([0-9a-f]{1,8}) )?\bbus=0x([0-9a-f]{1,2}) slot=0x([01]?[0-9a-f]) function=0x([0-7])\b"
)
_SLOT = re.compile(r"(\bpci:|(?<![\w:.-]))([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])(?![\w-]|[.:][0-9a-f])")
_DECIMAL = re.compile(r"\bpci:\s?\*?\(?([0-9]{1,3})(?:@([0-9]{1,5}))?:([0-9]{1,2}):([0-7])\b(?!:?[0-9a-f]|\.)")
_BEFORE_SLOT = re.compile(
    r"(?:\bpci:? ?|\bvfio ?|\bslot ?\(?|/slots/|nvrm: .{0,60}|\bgpu(?: at)? ?|\bdevices?[ =/:])\(?$"
)
_NEAR_SHORT = re.compile(
    r"(?:\b(?:pci|pcie|vfio[\w-]*|devices?|gpu|nic|bdf|slot|function|address|driver|lspci|bus|addr)\b.{0,24}"
    r"|host=)$"
)
_LSPCI = re.compile(
    r" (?:[\w/-]+ ){0,3}(?:controller|bridge|device|coprocessor|accelerators?|co-processor|interface|peripheral)\b"
)
_GUEST_ELEMENT = re.compile(r"type=(?:pci|ccw|drive|usb) $")
_CHILD = re.compile(r"/(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\b")
_REACH = 64


def addresses_in(text: str) -> Iterator[str]:
    """Each address as the kernel names it."""
    found = [*_exact(text), *_of_slots(text), *_of_short_ones(text)]
    yield from dict.fromkeys(str(address) for _, address in sorted(found))


def _exact(text: str) -> Iterator[tuple[int, PciAddress]]:
    """What has all parts; of a path the last, since those before are the bridges above it."""
    for pattern in (_FULL, _NODEDEV):
        for found in pattern.finditer(text):
            if not _CHILD.match(text, found.end()):
                yield found.start(), PciAddress(*(int(part, 16) for part in found.groups()))
    for found in _ELEMENT.finditer(text):
        # With a type it is the guest's address, and the host has another device there.
        if not _GUEST_ELEMENT.search(text, max(found.start() - 12, 0), found.start()):
            yield found.start(), PciAddress(*(int(part or "0", 16) for part in found.groups()))
    for found in _DECIMAL.finditer(text):
        # Xorg counts in decimals, and writes the domain behind the bus.
        bus, slot = int(found[1]), int(found[3])
        if bus < 1 << 8 and slot < 1 << 5:
            yield found.start(), PciAddress(int(found[2] or 0), bus, slot, int(found[4]))


def _of_slots(text: str) -> Iterator[tuple[int, PciAddress]]:
    """NVIDIA's driver and hot-plug slots name no function: it is the first one."""
    for found in _SLOT.finditer(text):
        if found[1] or _BEFORE_SLOT.search(text, max(found.start() - _REACH, 0), found.start()):
            yield found.start(), PciAddress(int(found[2], 16), int(found[3], 16), int(found[4], 16), 0)


def _of_short_ones(text: str) -> Iterator[tuple[int, PciAddress]]:
    """Without a domain, as lspci prints it; 10:00.1 may be a time of day as well, and counts beside words of PCI."""
    for found in _SHORT.finditer(text):
        is_hex = any(letter in "abcdef" for letter in found[1] + found[2])
        before = max(found.start() - _REACH, 0)
        if is_hex or _LSPCI.match(text, found.end()) or _NEAR_SHORT.search(text, before, found.start()):
            yield found.start(), PciAddress(0, int(found[1], 16), int(found[2], 16), int(found[3]))
