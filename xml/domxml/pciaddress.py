"""A PCI address as a value: parsed at one edge, printed at the other, never a string in between."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

from domxml.errors import BadInput

MAX_DOMAIN = 0xFFFFFFFF
"""Intel VMD invents domains from 0x10000 up."""
MAX_LIBVIRT_DOMAIN = 0xFFFF

_SPELLINGS = (
    re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-9a-f])", re.ASCII | re.IGNORECASE),
    re.compile(r"pci_([0-9a-f]{4,8})_([0-9a-f]{2})_([0-9a-f]{2})_([0-9a-f])", re.ASCII | re.IGNORECASE),
)
_LIMITS = {"domain": MAX_DOMAIN, "bus": 0xFF, "slot": 0x1F, "function": 7}


_MOST = 0xFFFFFFFF
"""Libvirt keeps them in 32 bits."""
_LONGEST = 40
_NUMBER = re.compile(r"[ \t\n\v\f\r]*\+?(0[xX][0-9a-fA-F]+|[0-9]+)", re.ASCII)


def read_number(text: str | None, *, most: int = _MOST, c: bool = False) -> int | None:
    """Read a number that is not negative; None where libvirt would not take it.

    `c` reads 0x as hexadecimal and a leading zero as octal, as libvirt does for PCI addresses.
    """
    found = None if text is None or len(text) > _LONGEST else _NUMBER.fullmatch(text)
    if found is None:
        return None
    digits = found[1]
    prefixed = digits[:2] in {"0x", "0X"}
    if prefixed and not c:
        return None
    base = 16 if prefixed else 8 if c and digits[0] == "0" else 10
    try:
        number = int(digits, base)
    except ValueError:
        return None
    return number if number <= most else None


class Attributes(Protocol):
    """What an XML element's attributes offer."""

    def get(self, key: str, /) -> str | None: ...


class PciAddress(NamedTuple):
    """Domain, bus, slot and function; ordered as the kernel lists them. A tuple, because thousands are hashed."""

    domain: int
    bus: int
    slot: int
    function: int

    def __str__(self) -> str:
        return f"{self.domain:04x}:{self.bus:02x}:{self.slot:02x}.{self.function:x}"

    @classmethod
    def parse(cls, text: str) -> PciAddress:
        """Read `0000:3b:00.1`, `3b:00.1`, `pci_0000_3b_00_1`, in either case."""
        for spelling in _SPELLINGS:
            match = spelling.fullmatch(text)
            if match:
                domain, bus, slot, function = (int(group or "0", 16) for group in match.groups())
                return _checked(cls(domain, bus, slot, function), text)
        raise BadInput(
            "bad-address",
            f"{_shown(text)} is not a PCI address",
            hint="write domain:bus:slot.function in hex, such as 0000:3d:02.2",
        )

    @classmethod
    def from_attributes(cls, attributes: Attributes) -> PciAddress:
        """Read libvirt's four attributes: decimal, 0x-hex or octal, an absent one is 0."""
        get = attributes.get
        try:
            return _from_texts(get("domain"), get("bus"), get("slot"), get("function"))
        except BadInput as bad:
            bad.subject = bad.subject or _owner(attributes)
            raise

    def attributes(self) -> dict[str, str]:
        """The four attributes as libvirt prints them."""
        if self.domain > MAX_LIBVIRT_DOMAIN:
            raise BadInput(
                "domain-too-large",
                f"libvirt cannot name a PCI domain above 0x{MAX_LIBVIRT_DOMAIN:x}",
                subject=str(self),
                hint="a device behind Intel VMD cannot be passed through; turn VMD off for it in the firmware",
            )
        return {
            "domain": f"0x{self.domain:04x}",
            "bus": f"0x{self.bus:02x}",
            "slot": f"0x{self.slot:02x}",
            "function": f"0x{self.function:x}",
        }

    def with_function(self, function: int) -> PciAddress:
        """Another function of the same slot."""
        return PciAddress(self.domain, self.bus, self.slot, function)

    @property
    def slot_address(self) -> PciAddress:
        """Function 0 of the same slot."""
        return self if self.function == 0 else self.with_function(0)


@lru_cache(maxsize=4096)
def _from_texts(*texts: str | None) -> PciAddress:
    address = PciAddress(*(_number(name, text) for name, text in zip(_LIMITS, texts, strict=True)))
    return _checked(address, str(address))


def _owner(attributes: Attributes) -> str:
    """The element of a domain whose address it is, such as `<disk> in line 7`."""
    parent = getattr(attributes, "getparent", lambda: None)()
    while parent is not None and parent.tag == "source" and parent.getparent() is not None:
        parent = parent.getparent()
    if parent is None:
        return ""
    line = f" in line {parent.sourceline}" if parent.sourceline else ""
    return f"<{parent.tag}>{line}"


def _checked(address: PciAddress, text: str) -> PciAddress:
    for name, limit in _LIMITS.items():
        value = getattr(address, name)
        if value > limit:
            raise BadInput(
                "bad-address",
                f"{_shown(text)} has {name} 0x{value:x}, the highest is 0x{limit:x}",
                hint="write domain:bus:slot.function in hex, such as 0000:3d:02.2",
            )
    return address


def _number(name: str, text: str | None) -> int:
    if text is None:
        return 0
    number = read_number(text, c=True)
    if number is None:
        raise BadInput("bad-address", f"{name}={_shown(text)} is not a number", hint="write it as 0x3d or 61")
    return number


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
