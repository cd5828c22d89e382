"""Names of network interfaces in a Linux guest."""

from __future__ import annotations

import re

MOST_BYTES = 15
RESERVED = frozenset({"all", "default", "lo", "bonding_masters"})
"""The kernel has files of these names where each interface has one."""
REASON = (
    "up to 15 letters, digits, - _ and ., beginning with a letter; not all, default, lo or what a kernel names eth0"
)

_LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}", re.ASCII)
_BY_THE_GUEST = re.compile(r"eth[0-9]+|en[bopsvx][0-9A-Fa-f][A-Za-z0-9]*|wl[bopsvx]?[0-9][A-Za-z0-9]*", re.ASCII)
"""Names that a guest gives by itself, to whatever interface it finds."""


def is_guest_name(name: str) -> bool:
    """Whether an interface can be given this name, and no other will have it."""
    return bool(_LEGAL.fullmatch(name)) and name not in RESERVED and not _BY_THE_GUEST.fullmatch(name)


def guest_name(name: str) -> str:
    """A name of the VM's spec as the guest can have it: the same, or its beginning and four digits for it all."""
    if is_guest_name(name):
        return name
    import hashlib  # noqa: PLC0415  most names are possible

    kept = re.sub(r"[^A-Za-z0-9_]", "-", name)
    head = (kept if kept[:1].isalpha() else f"if-{kept}")[: MOST_BYTES - 5].rstrip("-")
    digits = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:4]
    return f"{head}-{digits}"
