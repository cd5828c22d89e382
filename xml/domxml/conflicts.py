"""What a device cannot have beside the rest of its domain: libvirt or QEMU would refuse the two together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from lxml import etree

from domxml import alias as aliases
from domxml.apply import Change
from domxml.document import Domain, DomainDevice, Element
from domxml.errors import Refused
from domxml.finding import FindingKind
from domxml.guestfindings import (
    ACPI_INDEX_TAKEN,
    ALIAS_TAKEN,
    BOOT_ORDER_BESIDE_OS_BOOT,
    BOOT_ORDER_TAKEN,
    DISPLAY_NEEDS_GRAPHICS,
    ONLY_ONE_RAMFB,
    ONLY_ONE_VFIO_AP,
    RAMFB_NEEDS_DISPLAY,
    ROM_DISABLED,
    TEAMING_NEEDS_OWN_SLOT,
    TEAMING_WITHOUT_INTERFACE,
)
from domxml.guestpci.machines import MODELS, PCIE_DEVICE, MachineType, RootKind
from domxml.guestpci.topology import Topology
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from domxml.text import listed
from domxml.version import LibvirtVersion

AP = "vfio-ap"


class Numbered(NamedTuple):
    """A number that one device of a domain can have."""

    key: str
    kind: FindingKind
    find: etree.XPath
    """The elements that hold it."""
    name: str


NUMBERED = (
    Numbered("bootOrder", BOOT_ORDER_TAKEN, etree.XPath("devices/*/boot[@order]"), "order"),
    Numbered("acpiIndex", ACPI_INDEX_TAKEN, etree.XPath(f"devices/*[not(@model='{AP}')]/acpi[@index]"), "index"),
)
_ALIASES = etree.XPath("devices/*/alias[starts-with(@name, 'ua-')]")
"""Libvirt forgets all others, and those of a running domain need not be unique."""
_RAMFB = etree.XPath("devices/hostdev[@ramfb='on'] | devices/video[model/@type='ramfb']")
_AP = etree.XPath(f"devices/hostdev[@model='{AP}']")


def check_conflicts(
    domain: Domain, machine: MachineType, slots: Sequence[GuestSlot], held: Mapping[HostDevice, DomainDevice]
) -> None:
    """Refuse the first device that would not go together with another one, or with the domain."""
    for refusal in _Devices(domain, machine, slots, held).conflicts():
        raise refusal


def check_teams(domain: Domain, libvirt: LibvirtVersion, changes: Sequence[Change]) -> None:
    """Refuse a VF that stands in for an interface where QEMU would not take it out again; the domain has it already."""
    teamed = [change.placed for change in changes if "teaming" in change.placed.function.attributes]
    if not teamed:
        return
    topology = Topology(domain, libvirt)
    for placed in teamed:
        what = _why_no_team(topology, placed.address)
        if what:
            team = placed.function.attributes["teaming"]
            raise TEAMING_NEEDS_OWN_SLOT.refused(str(placed.function.device), f"teaming={team}, and {what}")


def _why_no_team(topology: Topology, address: PciAddress | None) -> str:
    if topology.machine.root is not RootKind.PCIE:
        return f"a guest of {topology.machine.name} has no PCI Express"
    if address is None:
        return ""
    controller = topology.controller(address.bus)
    model = None if controller is None else MODELS.get(controller.model)
    if model is not None and not model.accepts & PCIE_DEVICE:
        return f"{address} is behind a {model.name}, on a conventional PCI bus"
    used = topology.used()
    beside = [function for function in range(8) if address.with_function(function) in used]
    return f"{address} is one of several functions of its slot" if beside != [0] else ""


class _Devices:
    def __init__(
        self,
        domain: Domain,
        machine: MachineType,
        slots: Sequence[GuestSlot],
        held: Mapping[HostDevice, DomainDevice],
    ) -> None:
        self.domain = domain
        self.machine = machine
        self.functions = [function for slot in slots for function in slot.functions]
        self.held = held
        self.interfaces = {alias.get("name", "") for alias in domain.devices.iterfind("interface/alias")}

    def conflicts(self) -> Iterator[Refused]:
        yield from self._of_domain()
        yield from self._of_device()
        yield from self._displays()
        for row in NUMBERED:
            yield from self._numbered(row)
        yield from self._aliases()
        yield from self._alone(ONLY_ONE_RAMFB, _RAMFB, [f for f in self.functions if f.attributes.get("ramfb") == "on"])
        if self.machine.root is RootKind.ZPCI:
            queues = [function for function in self.functions if self._is_matrix(function)]
            yield from self._alone(ONLY_ONE_VFIO_AP, _AP, queues)

    def _of_domain(self) -> Iterator[Refused]:
        graphics = self.domain.devices.find("graphics") is not None
        boot = self.domain.root.find("os/boot") is not None
        for function in self.functions:
            if function.attributes.get("display") == "on" and not graphics:
                what = "display=on needs a graphics device in the VM"
                yield DISPLAY_NEEDS_GRAPHICS.refused(str(function.device), what)
            if "bootOrder" in function.attributes and boot:
                what = "the domain has <os><boot>; libvirt refuses boot orders of devices beside it"
                yield BOOT_ORDER_BESIDE_OS_BOOT.refused(str(function.device), what)

    def _of_device(self) -> Iterator[Refused]:
        for function in self.functions:
            wanted, holder = function.attributes, self.held.get(function.device)
            rom = None if holder is None else holder.element.find("rom")
            written = {} if rom is None else {f"rom.{name}": rom.get(name, "") for name in map(str, rom.attrib)}
            rom_is = {**written, **wanted}
            tuned = [key for key in ("rom.bar", "rom.file") if key in rom_is]
            if rom_is.get("rom.enabled") == "no" and tuned and any(key.startswith("rom.") for key in wanted):
                what = f"rom.enabled=no takes the ROM away, and {' and '.join(tuned)} would tune it"
                yield ROM_DISABLED.refused(str(function.device), what)
            teaming = wanted.get("teaming", "")
            if teaming and teaming not in self.interfaces:
                there = listed(sorted(self.interfaces)) or "none"
                what = f"teaming names {teaming}, and no interface has that alias (there are: {there})"
                yield TEAMING_WITHOUT_INTERFACE.refused(str(function.device), what)

    def _displays(self) -> Iterator[Refused]:
        for function in self.functions:
            element, wanted = self._element(function), function.attributes
            written = {} if element is None else {key: element.get(key, "") for key in ("display", "ramfb")}
            shown = {**written, **wanted}
            ours = "display" in wanted or "ramfb" in wanted
            if ours and shown.get("ramfb") == "on" and shown.get("display") != "on":
                what = f"ramfb=on needs display=on, and display is {shown.get('display') or 'not said'}"
                yield RAMFB_NEEDS_DISPLAY.refused(str(function.device), what)

    def _numbered(self, row: Numbered) -> Iterator[Refused]:
        wanted = [
            (function, function.attributes[row.key]) for function in self.functions if row.key in function.attributes
        ]
        if not wanted:
            return
        rewritten = {id(self._element(function)) for function, _ in wanted}
        owners = {
            element.get(row.name, "").strip().lstrip("0"): f"a <{parent.tag}> of the domain"
            for element in self._found(row.find)
            if (parent := _parent(element)) is not None and id(parent) not in rewritten
        }
        for function, number in wanted:
            if row.key == "acpiIndex" and self._is_matrix(function):
                continue  # Libvirt says nothing of it to QEMU.
            if number in owners:
                yield row.kind.refused(str(function.device), f"{row.key} {number} belongs to {owners[number]}")
            owners[number] = str(function.device)

    def _aliases(self) -> Iterator[Refused]:
        owners: dict[str, Element] = {}
        twice: dict[str, Element] = {}
        for element in self._found(_ALIASES):
            parent = _parent(element)
            if parent is not None and owners.setdefault(element.get("name", ""), parent) is not parent:
                twice[element.get("name", "")] = parent
        for function in self.functions:
            own = self._element(function)
            alias = self._alias(function)
            other = owners.get(alias) if owners.get(alias) is not own else twice.get(alias)
            if other is not None:
                what = f"two devices have this alias: {alias} is also that of a <{other.tag}>"
                yield ALIAS_TAKEN.refused(str(function.device), what)
            elif own is None:
                owners[alias] = self.domain.devices

    def _alone(self, kind: FindingKind, find: etree.XPath, wanted: Sequence[GuestFunction]) -> Iterator[Refused]:
        if not wanted:
            return
        own = {id(self._element(function)) for function in wanted}
        others = [f"a <{element.tag}> of the domain" for element in self._found(find) if id(element) not in own]
        for function in wanted:
            if others:
                yield kind.refused(str(function.device), f"{others[0]} is one already")
            others.append(str(function.device))

    def _is_matrix(self, function: GuestFunction) -> bool:
        """Whether it is a mediated device of s390x: crypto queues, and no PCI device."""
        return self.machine.root is RootKind.ZPCI and isinstance(function.device, Mdev)

    def _alias(self, function: GuestFunction) -> str:
        """The alias it will have: one that libvirt keeps stays."""
        holder = self.held.get(function.device)
        return holder.alias if holder is not None and aliases.is_legal(holder.alias) else function.alias

    def _element(self, function: GuestFunction) -> Element | None:
        holder = self.held.get(function.device)
        return None if holder is None else holder.element

    def _found(self, find: etree.XPath) -> list[Any]:
        return cast("list[Any]", find(self.domain.root))


def _parent(element: Element) -> Element | None:
    return element.getparent()
