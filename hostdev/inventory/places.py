"""The place of a function, which no other card and no boot changes, and the ids of units that are made of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import Machine, PciFunction

MOST_BRIDGES = 256
"""One above the other; more are no tree."""
LONGEST = 63
"""Kubelet takes more; the protocol promises no more."""
_HASHED = 32


_FORM = re.compile(r"[0-9a-f][0-9a-f.:-]*(?:-vf[0-9]+)?-[0-9a-f]{4}\.[0-9a-f]{4}")


def is_id(text: str) -> bool:
    """Whether it has the form of an id that is made here."""
    return len(text) <= LONGEST and _FORM.fullmatch(text) is not None


def find_paths(machine: Machine) -> dict[PciAddress, str]:
    """By address the host bridge and the functions below it: what other cards do not change.

    `pci0000:3a/00.0/00.0`; a VF is a part of its PF: `pci0000:3a/00.0/00.0/vf2`. What is not known is left out.
    """
    functions = machine.functions.values()
    found = {one.address: path for one in functions if one.physfn is None and (path := _path(machine, one))}
    for pf in functions:
        if pf.virtfns and pf.address in found:
            found |= {vf: f"{found[pf.address]}/vf{number}" for number, vf in enumerate(pf.virtfns)}
    return found


def _path(machine: Machine, function: PciFunction) -> str:
    steps: list[str] = []
    here: PciFunction | None = function
    while here is not None and len(steps) <= MOST_BRIDGES:
        steps.append(f"{here.address.slot:02x}.{here.address.function}")
        if here.parent is None:
            return "/".join([here.root, *reversed(steps)]) if here.root else ""
        here = machine.functions.get(here.parent)
    return ""


class Identities:
    """Makes the ids of a machine's units."""

    def __init__(self, paths: Mapping[PciAddress, str]) -> None:
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


class _Picture:
    """A machine as a key: it is the very same one, or another; all of it to compare would take too long."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def __hash__(self) -> int:
        return id(self.machine)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Picture) and other.machine is self.machine


def find_primaries(ids: Iterable[str], machine: Machine) -> Mapping[str, PciAddress]:
    """The primary functions of the units that these are ids of; what is no id of a unit here is left out."""
    units = [*filter(is_id, ids)]
    known = _primaries(_Picture(machine)) if units else {}
    return {unit: known[unit] for unit in units if unit in known}


@lru_cache(maxsize=1)  # All grants of a node are looked at with one picture.
def _primaries(picture: _Picture) -> Mapping[str, PciAddress]:
    identities = Identities(find_paths(picture.machine))
    return {identities.id_of(one): one.address for one in picture.machine.functions.values() if not one.bridge}
