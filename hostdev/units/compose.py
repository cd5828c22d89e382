"""From a machine to its units: which functions belong together, and for which of them a VM wants them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from domxml.pciaddress import PciAddress
from hostdev.binding.drift import Places
from hostdev.binding.state import UnitKind
from hostdev.gate.readiness import Readiness
from hostdev.inventory.machine import Machine, PciFunction, Role
from hostdev.inventory.pciclasses import COMPANIONS, DISPLAY, base, board_part, subclass
from hostdev.inventory.places import Identities
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.units.unit import Unit


def compose_units(
    machine: Machine, kind: UnitKind | None = None, addresses: Iterable[PciAddress] | None = None
) -> tuple[Unit, ...]:
    """Compose the units of these functions, or of all that a guest could have, by the addresses of the primary ones.

    Without a kind each function is in the smallest unit that a VM can have as a whole: the function, its slot where
    that is its IOMMU group, or the group.
    """
    return Composer(Places(machine)).units(kind, addresses)


def is_for_guests(function: PciFunction) -> bool:
    """Whether a guest could have it: no bridge, and no part of the board that nothing has bound for a guest."""
    return not function.bridge and (is_on_vfio(function) or board_part(function) is None)


class Composer:
    """Makes the units of one machine."""

    def __init__(self, places: Places) -> None:
        self._machine = machine = places.machine
        self._paths = places.paths
        self._identities = Identities(places.paths)
        self._readiness = Readiness(machine)
        self._slots = _by_slot(machine)

    def units(self, kind: UnitKind | None, addresses: Iterable[PciAddress] | None = None) -> tuple[Unit, ...]:
        """The units of these functions, or of all that a guest could have, by the addresses of the primary ones."""
        if addresses is None:
            functions = sorted(self._machine.functions.items())
            wanted = [function for _, function in functions if is_for_guests(function)]
        else:
            wanted = self._endpoints(addresses)
        found: dict[tuple[PciAddress, ...], UnitKind] = {}
        for function in wanted:
            chosen = kind or self.smallest(function)
            found.setdefault(self.members(function, chosen), chosen)
        units = (self.unit(members, chosen) for members, chosen in found.items())
        return tuple(sorted(units, key=lambda unit: unit.primary))

    def smallest(self, function: PciFunction) -> UnitKind:
        """The smallest whole that its IOMMU group allows."""
        group = self._machine.group_of(function.address)
        if group is None or len(group.members) == 1:
            return UnitKind.FUNCTION
        shared = {one.address for one in self._endpoints(group.members)}
        if shared == {function.address}:
            return UnitKind.FUNCTION
        return UnitKind.SLOT if shared == {one.address for one in self._slot(function)} else UnitKind.GROUP

    def members(self, function: PciFunction, kind: UnitKind) -> tuple[PciAddress, ...]:
        """The functions that come with one, the primary one first."""
        if kind is UnitKind.FUNCTION:
            return (function.address,)
        found = self._slot(function) if kind is UnitKind.SLOT else self._of_groups(function)
        return tuple(one.address for one in sorted(found, key=self._precedence))

    def _precedence(self, function: PciFunction) -> tuple[bool, bool, bool, str, PciAddress]:
        """The order of a unit: a display before all else, companions of a display last, then by place.

        Among equals no address decides, where the place is known: the next boot may count buses otherwise.
        """
        is_display = base(function.class_code) == DISPLAY
        path = self._paths.get(function.physfn or function.address, "")
        return not is_display, subclass(function.class_code) in COMPANIONS, not path, path, function.address

    def unit(self, members: tuple[PciAddress, ...], kind: UnitKind) -> Unit:
        functions = [self._machine.functions[address] for address in members]
        primary = functions[0]
        nodes = {one.numa_node for one in functions}
        return Unit(
            self._identities.id_of(primary),
            kind,
            members,
            tuple(sorted({one.group for one in functions if one.group is not None})),
            nodes.pop() if len(nodes) == 1 else None,
            primary.root,
            primary.class_code,
            primary.vendor,
            primary.device,
            primary.driver,
            self._readiness.blockers(members),
        )

    def _slot(self, function: PciFunction) -> list[PciFunction]:
        """What shares its slot. Slots of VFs mean nothing: their numbers go on from one slot to the next."""
        if function.role is Role.VF:
            return [function]
        return self._slots.get(function.address.slot_address, [function])

    def _of_groups(self, function: PciFunction) -> list[PciFunction]:
        """All endpoints of its IOMMU group."""
        group = self._machine.group_of(function.address)
        return self._endpoints(group.members) if group else [function]

    def _endpoints(self, members: Iterable[PciAddress]) -> list[PciFunction]:
        known = (self._machine.functions.get(address) for address in members)
        return [one for one in known if one is not None and not one.bridge]


def _by_slot(machine: Machine) -> Mapping[PciAddress, list[PciFunction]]:
    found: dict[PciAddress, list[PciFunction]] = {}
    for function in machine.functions.values():
        if not function.bridge and function.physfn is None:
            found.setdefault(function.address.slot_address, []).append(function)
    return found
