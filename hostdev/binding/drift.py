"""A node beside its declared state: each device of each entry, and what differs; and the node itself as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from domxml.finding import Evidence, Finding
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.state import DeviceEntry, Match, NodeState, VfEntry, ids_text
from hostdev.binding.vfs import HOST, NONE
from hostdev.binding.vfsettings import UNREAD, Readings, Wanted, of_one_vf, of_port, read_settings
from hostdev.findings.nodestate import ENTRIES_CONFLICT, ENTRY_UNMATCHED, IDENTITY_CHANGED
from hostdev.gate.rule import attribute_evidence, hides, host_findings
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine, PciFunction, Role
from hostdev.inventory.places import find_paths
from hostdev.inventory.vfiodrivers import is_on_vfio, vfio_driver


class Places:
    """The functions of a machine by the ways that lead to them."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @cached_property
    def paths(self) -> dict[PciAddress, str]:
        """By address the ways that are known."""
        return find_paths(self.machine)

    @cached_property
    def _by_path(self) -> dict[str, list[PciAddress]]:
        found: dict[str, list[PciAddress]] = {}
        for address, path in self.paths.items():
            found.setdefault(path, []).append(address)
        return found

    def at(self, match: Match) -> PciFunction | None:
        """The function at the place that an entry names; None also where a path leads to more than one."""
        if match.address is not None:
            return self.machine.functions.get(match.address)
        found = self._by_path.get(match.path, [])
        return self.machine.functions.get(found[0]) if len(found) == 1 else None

    def fits(self, function: PciFunction, match: Match, driver: str = "") -> bool:
        """Whether an entry means the function; `driver` is what the entry wants it to have."""
        if match.id is not None and match.id != (function.vendor, function.device):
            # Most of thousands differ in this.
            return False
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


AUTO = "auto"
_WORDS: Mapping[str, Callable[[PciFunction], bool]] = {
    AUTO: is_on_vfio,
    HOST: lambda function: function.driver is not None and not is_on_vfio(function),
    NONE: lambda function: function.driver is None,
}
"""What stands for no driver of a certain name."""
_SAID = {AUTO: "a vfio driver", HOST: "a driver of the host", NONE: None}
Entry = DeviceEntry | VfEntry


class Drift(NamedTuple):
    """One thing that is not as it is declared."""

    what: str
    want: str | int | None
    have: str | int | None
    by: str | None = None
    """What wrote it last, where that is known."""


class Item(NamedTuple):
    """One device of one entry."""

    entry: Entry
    device: PciAddress | None
    """None where no device fits."""
    drift: tuple[Drift, ...] = ()
    findings: tuple[Finding, ...] = ()
    """What forbids to make it so, as far as the file and the picture of the machine tell."""
    unknown: str = ""
    """Why it cannot be told whether it is so."""
    unseen: tuple[str, ...] = ()
    """Settings of VFs that could not be read; nothing is written because of them."""

    @property
    def subject(self) -> str:
        """The device, or what the entry says of it."""
        return str(self.device) if self.device else str(self.entry.match)


class Claims:
    """Which entry says what becomes of a device: one with a place goes before one without, a PF's last."""

    def __init__(self, state: NodeState, places: Places) -> None:
        self._drivers: dict[PciAddress, list[tuple[int, str, str]]] = {}
        self._counts: dict[PciAddress, list[tuple[int, str, str]]] = {}
        for entry in state.devices:
            for function in matches(places, entry):
                _claim(self._drivers, function.address, entry, entry.driver)
        for pfs in state.vfs:
            for function in matches(places, pfs):
                _claim(self._counts, function.address, pfs, str(pfs.number))

    def driver_conflict(self, address: PciAddress) -> str:
        """The entries that want different drivers of a device, as a sentence; empty where they agree."""
        return _conflict(self._drivers.get(address, []), "driver")

    def count_conflict(self, address: PciAddress) -> str:
        """The same of the numbers of VFs."""
        return _conflict(self._counts.get(address, []), "count")

    def is_first(self, address: PciAddress, entry: Entry) -> bool:
        """Whether an entry is the one that counts for a device."""
        table = self._drivers if isinstance(entry, DeviceEntry) else self._counts
        return _strongest(table.get(address, []))[0][1] == entry.place

    def has_driver(self, address: PciAddress) -> bool:
        """Whether an entry names the device itself, so that what its PF says does not count."""
        return address in self._drivers


def compare(state: NodeState, machine: Machine, readings: Readings = UNREAD) -> tuple[Item, ...]:
    """Every device of every entry, in the order of the file; VFs come first, for what is declared of them."""
    places = Places(machine)
    claims = Claims(state, places)
    entries: tuple[Entry, ...] = (*state.vfs, *state.devices)
    return tuple(item for entry in entries for item in _items(places, entry, claims, readings))


def matches(places: Places, entry: Entry) -> tuple[PciFunction, ...]:
    """The devices that an entry means; with a place none where another device is there."""
    found = functions_meant(places, entry.match, entry.driver)
    if isinstance(entry, VfEntry) and not entry.match.has_place:
        return tuple(function for function in found if function.role is Role.PF)
    return found


def functions_meant(places: Places, match: Match, driver: str = "") -> tuple[PciFunction, ...]:
    """What a match means, by address; without a place no bridges."""
    if match.has_place:
        there = places.at(match)
        return (there,) if there and places.fits(there, match, driver) else ()
    functions = (function for _, function in sorted(places.machine.functions.items()) if not function.bridge)
    return tuple(function for function in functions if places.fits(function, match, driver))


def _items(places: Places, entry: Entry, claims: Claims, readings: Readings) -> Iterator[Item]:
    found = matches(places, entry)
    if not found:
        yield _absent(places, entry)
    for function in found:
        if isinstance(entry, VfEntry):
            yield from _of_pf(places.machine, entry, function, claims, readings)
        elif claims.is_first(function.address, entry) or claims.driver_conflict(function.address):
            yield _of_device(places.machine, entry, function, claims)


def _absent(places: Places, entry: Entry) -> Item:
    finding, unknown = explain_absence(places, entry.place, entry.match, entry.driver)
    there = places.at(entry.match) if entry.match.has_place else None
    if there is not None:
        what = listed(places.differences(there, entry.match, entry.driver), 4)
        return Item(entry, there.address, (Drift("identity", str(entry.match), what),), (finding,))
    return Item(entry, entry.match.address, (Drift("device", str(entry.match), None),), (finding,), unknown)


def explain_absence(places: Places, place: str, match: Match, driver: str = "") -> tuple[Finding, str]:
    """Say why an entry means no device; and why that is not known, where it could not be seen."""
    there = places.at(match) if match.has_place else None
    if there is not None:
        what = listed(places.differences(there, match, driver), 4)
        return IDENTITY_CHANGED.found(str(there.address), f"{place}: {what}", evidence=_identity(there)), ""
    blind = next((one for one in host_findings(places.machine) if one.subject.startswith("/sys/bus/pci")), None)
    what = f"{place}: no device is {match}"
    return ENTRY_UNMATCHED.found(str(match.address or ""), what), blind.what if blind else ""


def _identity(function: PciFunction) -> tuple[Evidence, ...]:
    return (
        attribute_evidence(function.address, "vendor", f"0x{function.vendor:04x}"),
        attribute_evidence(function.address, "device", f"0x{function.device:04x}"),
        attribute_evidence(function.address, "class", f"0x{function.class_code:06x}"),
    )


def _of_device(machine: Machine, entry: DeviceEntry, function: PciFunction, claims: Claims) -> Item:
    conflict = claims.driver_conflict(function.address)
    findings = (ENTRIES_CONFLICT.found(str(function.address), conflict),) if conflict else ()
    unknown = _unread(machine, function, "driver", "vfio-dev")
    return Item(entry, function.address, tuple(driver_drift(function, entry.driver)), findings, unknown)


def driver_drift(function: PciFunction, driver: str) -> Iterator[Drift]:
    """How the driver of a function differs from the one it shall have."""
    held = _WORDS[driver](function) if driver in _WORDS else same_driver(function.driver, driver)
    if not held:
        yield Drift("driver", _SAID.get(driver, driver), function.driver)
    override = function.driver_override
    if held and override and not vfio_driver(function.driver) and not same_driver(override, function.driver):
        # The next probe, at a reset of the module or by libvirt, would go to that one.
        yield Drift("driver_override", None, override)


def _of_pf(machine: Machine, entry: VfEntry, pf: PciFunction, claims: Claims, readings: Readings) -> Iterator[Item]:
    """The PF by the number of its VFs and its settings; where those are right, each VF that is not as it shall be."""
    conflict = claims.count_conflict(pf.address)
    findings = (ENTRIES_CONFLICT.found(str(pf.address), conflict),) if conflict else ()
    unknown = _unread(machine, pf, "sriov_numvfs", "sriov_totalvfs")
    now = None if pf.total_vfs is None else pf.num_vfs
    if (now or 0) != entry.number:
        yield Item(entry, pf.address, (Drift("count", entry.number, now),), findings, unknown)
        return
    wanted, unfit = read_settings(pf, entry.number, entry.settings)
    drift = tuple(setting_drift(pf.address, of_port(wanted), readings))
    unseen = tuple(_unseen(pf, wanted, readings))
    yield Item(entry, pf.address, drift, (*findings, *unfit), unknown, unseen)
    if not drift and not conflict and not unknown:
        yield from _of_vfs(machine, entry, pf, claims, wanted, readings=readings)


def _of_vfs(  # noqa: PLR0913  a VF is compared with all of these
    machine: Machine, entry: VfEntry, pf: PciFunction, claims: Claims, wanted: list[Wanted], *, readings: Readings
) -> Iterator[Item]:
    for number, address in enumerate(pf.virtfns if entry.driver or wanted else ()):
        vf = machine.functions.get(address)
        if vf is None:
            what = f"{address} of {pf.address} could not be read"
            yield Item(entry, address, (Drift("device", str(address), None),), (), what)
            continue
        driven = () if claims.has_driver(address) or not entry.driver else tuple(driver_drift(vf, entry.driver))
        drift = (*setting_drift(pf.address, of_one_vf(number, wanted), readings), *driven)
        if drift:
            yield Item(entry, address, drift, (), _unread(machine, vf, "driver", "vfio-dev"))


def setting_drift(pf: PciAddress, wanted: list[Wanted], readings: Readings) -> Iterator[Drift]:
    """Settings that are known to be otherwise."""
    for one in wanted:
        have = readings.of(pf, one)
        if have is not None and not one.setting.is_kept(one.value, have):
            yield Drift(one.setting.name, one.value, have)


def _unseen(pf: PciFunction, wanted: list[Wanted], readings: Readings) -> Iterator[str]:
    yield from (one.setting.name for one in of_port(wanted) if readings.of(pf.address, one) is None)
    for number in range(len(pf.virtfns) if wanted else 0):
        own = (one for one in of_one_vf(number, wanted) if readings.of(pf.address, one) is None)
        yield from (f"{one.setting.name} of VF {number}" for one in own)


def _unread(machine: Machine, function: PciFunction, *names: str) -> str:
    if hides(machine, function.address, *names):
        return f"{' and '.join(names)} of {function.address} could not be read"
    return ""


def _claim(table: dict[PciAddress, list[tuple[int, str, str]]], address: PciAddress, entry: Entry, wish: str) -> None:
    table.setdefault(address, []).append((0 if entry.match.has_place else 1, entry.place, wish))


def _strongest(claims: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    rank = min(claims)[0]
    return [one for one in claims if one[0] == rank]


def _conflict(claims: list[tuple[int, str, str]], what: str) -> str:
    strongest = _strongest(claims) if claims else []
    if len({wish.replace("-", "_") for _, _, wish in strongest}) < 2:
        return ""
    return listed(f"{place} wants {what} {wish}" for _, place, wish in strongest)
