"""What a device is, and where: by what an entry of a NodeState finds it again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from domxml.pciaddress import PciAddress
from hostdev.binding.state import Match, ids_text
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine, PciFunction

MOST_BRIDGES = 256
"""One above the other; more are no tree."""


class Places:
    """The functions of a machine by the ways that lead to them."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @cached_property
    def paths(self) -> dict[PciAddress, str]:
        """By address the host bridge and the functions below it: what other cards do not change.

        `pci0000:3a/00.0/00.0`; a VF is a part of its PF: `pci0000:3a/00.0/00.0/vf2`. What is not known is left out.
        """
        functions = self.machine.functions.values()
        found = {one.address: path for one in functions if one.physfn is None and (path := self._path(one))}
        for pf in functions:
            if pf.virtfns and pf.address in found:
                found |= {vf: f"{found[pf.address]}/vf{number}" for number, vf in enumerate(pf.virtfns)}
        return found

    @cached_property
    def _by_path(self) -> dict[str, list[PciAddress]]:
        found: dict[str, list[PciAddress]] = {}
        for address, path in self.paths.items():
            found.setdefault(path, []).append(address)
        return found

    def _path(self, function: PciFunction) -> str:
        steps: list[str] = []
        here: PciFunction | None = function
        while here is not None and len(steps) <= MOST_BRIDGES:
            steps.append(f"{here.address.slot:02x}.{here.address.function}")
            if here.parent is None:
                return "/".join([here.root, *reversed(steps)]) if here.root else ""
            here = self.machine.functions.get(here.parent)
        return ""

    def at(self, match: Match) -> PciFunction | None:
        """The function at the place that an entry names; None also where a path leads to more than one."""
        if match.address is not None:
            return self.machine.functions.get(match.address)
        found = self._by_path.get(match.path, [])
        return self.machine.functions.get(found[0]) if len(found) == 1 else None

    def fits(self, function: PciFunction, match: Match, driver: str = "") -> bool:
        """Whether an entry means the function; `driver` is what the entry wants it to have."""
        return next(self.differences(function, match, driver), None) is None

    def differences(self, function: PciFunction, match: Match, driver: str = "") -> Iterator[str]:
        """What an entry says of the function that is not so."""
        if match.address is not None and function.address != match.address:
            yield f"is at {function.address} and not at {match.address}"
        if match.path and self.paths.get(function.address) != match.path:
            yield f"is at {self.paths.get(function.address, 'a place that is not known')} and not at {match.path}"
        yield from _of_model(function, match)
        if match.numa is not None and match.numa != function.numa_node:
            node = "no NUMA node that is known" if function.numa_node is None else f"NUMA node {function.numa_node}"
            yield f"is on {node} and not on {match.numa}"
        # What an entry took from its driver before is still meant.
        if match.driver and not same_driver(function.driver, match.driver) and not _has(function, driver):
            yield f"is on {function.driver or 'no driver'} and not on {match.driver}"


def _of_model(function: PciFunction, match: Match) -> Iterator[str]:
    if match.id is not None and match.id != (function.vendor, function.device):
        yield f"is {pciids.ids(function)} and not {ids_text(match.id)}"
    subsystem = (function.subsystem_vendor, function.subsystem_device)
    if match.subsystem is not None and match.subsystem != subsystem:
        known = f"{subsystem[0]:04x}:{subsystem[1]:04x}" if None not in subsystem else "not known"
        yield f"its subsystem is {known} and not {ids_text(match.subsystem)}"
    if match.class_name and not _is_of_class(function, match.class_name):
        named = pciids.class_name(function.class_code)
        yield f"is of class {named} ({function.class_code:06x}) and not {match.class_name}"


def same_driver(one: str | None, other: str | None) -> bool:
    """Whether two names mean one driver: the kernel's mix dashes and underscores."""
    return (one or "").replace("-", "_") == (other or "").replace("-", "_")


def _has(function: PciFunction, driver: str) -> bool:
    if driver == "auto":
        return function.vfio_dev is not None or same_driver(function.driver, "vfio-pci")
    return bool(driver) and same_driver(function.driver, driver)


def _is_of_class(function: PciFunction, name: str) -> bool:
    code = f"{function.class_code:06x}"
    names = {pciids.class_name(function.class_code), pciids.CLASSES.get(function.class_code >> 16, "")}
    return name in names or code.startswith(name.lower())
