"""From what was named to the units that are offered: what holds each together, and which words mean one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from hostdev.binding.state import UnitKind
from hostdev.findings.driver import NOT_BOUND_TO_VFIO
from hostdev.findings.group import GROUP_NOT_VIABLE
from hostdev.findings.sriov import VF_AUTOPROBE_ON
from hostdev.gate.check import platform_findings
from hostdev.inventory.machine import Machine, Role
from hostdev.manifest.pool import By
from hostdev.manifest.selection import Selected
from hostdev.manifest.words import Named
from hostdev.units.compose import compose_units
from hostdev.units.unit import Unit

MENDED = frozenset({NOT_BOUND_TO_VFIO.code, VF_AUTOPROBE_ON.code, GROUP_NOT_VIABLE.code})
"""What the agent repairs by the NodeState."""


def fold_units(machine: Machine, found: Sequence[Named]) -> tuple[Named, ...]:
    """Replace what was named by the units that it is of; each is known by its primary function.

    Of a kind, those are left out that the host cannot do without; all are told of where nothing is left.
    """
    for one in found:
        if one.selected.mdev is not None:
            what, hint = "a mediated device is no PCI function, and is in no unit", f"write --by {By.KUBEVIRT}"
            raise BadInput("bad-usage", what, subject=one.word.text, hint=hint)
    units = _units(machine, found)
    return tuple(one._replace(selected=_folded(machine, one.selected, units)) for one in found)


def _folded(machine: Machine, selected: Selected, units: Mapping[PciAddress, Unit]) -> Selected:
    met = {units[function.address].primary: units[function.address] for function in selected.functions}
    if not selected.outright:
        kept = MENDED | {finding.code for finding in platform_findings(machine)}
        met = {primary: unit for primary, unit in met.items() if kept.issuperset(unit.blockers)} or met
    functions = tuple(machine.functions[address] for address in met)
    return selected._replace(functions=functions, units=tuple(met.values()))


def _units(machine: Machine, found: Iterable[Named]) -> Mapping[PciAddress, Unit]:
    """The unit of each function that was named.

    A function that is alone in its IOMMU group is one; what shares a group is a unit with all of the group. Functions
    of a card that have groups of their own are a unit where the card is asked for whole.
    """
    found = tuple(found)
    functions = {function.address: function for one in found for function in one.selected.functions}
    smallest = _by_member(compose_units(machine, None, functions))
    asked = {f.address for one in found if one.word.request.functions != "one" for f in one.selected.functions}
    slots = Counter(one.address.slot_address for one in functions.values() if one.role is not Role.VF)
    cards = {address for address in functions if address in asked or slots[address.slot_address] > 1}
    shared = {address for address in functions if smallest[address].kind is not UnitKind.FUNCTION}
    return {
        **smallest,
        **_by_member(compose_units(machine, UnitKind.SLOT, cards - shared)),
        **_by_member(compose_units(machine, UnitKind.GROUP, shared)),
    }


def _by_member(units: Iterable[Unit]) -> dict[PciAddress, Unit]:
    return {address: unit for unit in units for address in unit.functions}
