"""Numbers as libvirt reads them out of attributes, and how large they may be."""

from __future__ import annotations

import re

MOST = 0xFFFFFFFF
"""Libvirt keeps them in 32 bits."""
_LONGEST = 40
_NUMBER = re.compile(r"[ \t\n\v\f\r]*\+?(0[xX][0-9a-fA-F]+|[0-9]+)", re.ASCII)


def read_number(text: str | None, *, most: int = MOST, c: bool = False) -> int | None:
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
