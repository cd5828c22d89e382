"""What a unit is called: by the way that leads to it and by what is there, which no other card and no boot change."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256

from domxml.pciaddress import PciAddress
from hostdev.binding.drift import Places
from hostdev.inventory.machine import PciFunction

LONGEST = 63
"""Kubelet takes more; the protocol promises no more."""
_HASHED = 32


_FORM = re.compile(r"[0-9a-f][0-9a-f.:-]*(?:-vf[0-9]+)?-[0-9a-f]{4}\.[0-9a-f]{4}")


def is_id(text: str) -> bool:
    """Whether it has the form of an id that is made here."""
    return len(text) <= LONGEST and _FORM.fullmatch(text) is not None


class Identities:
    """Makes the ids of a machine's units."""

    def __init__(self, places: Places) -> None:
        paths = places.paths
        seen = Counter(paths.values())
        # A recording may show two functions at one place.
        self._paths: Mapping[PciAddress, str] = {a: path for a, path in paths.items() if seen[path] == 1}

    def id_of(self, primary: PciFunction) -> str:
        """`0000:3a-00.0-00.0-vf3-8086.37c9`; with the address instead, where the way there is not known.

        Kubelet keeps ids in its record and separates nothing by them; people separate lists by commas and slashes.
        """
        place = (self._paths.get(primary.address) or str(primary.address)).removeprefix("pci").replace("/", "-")
        found = f"{place}-{primary.vendor:04x}.{primary.device:04x}"
        if len(found) <= LONGEST:
            return found
        return f"{sha256(place.encode()).hexdigest()[:_HASHED]}-{primary.vendor:04x}.{primary.device:04x}"
