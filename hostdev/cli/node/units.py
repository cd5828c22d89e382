"""`passgate node units`: what can be given to one VM as a whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from domxml.errors import ExitCode
from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.binding.drift import Places
from hostdev.binding.state import By, UnitKind
from hostdev.claims.devices import make_inventory
from hostdev.cli import changes, devices, documents
from hostdev.cli.node.listing import ALIKE
from hostdev.cli.node.nodefile import state_of
from hostdev.cli.selection import Words, choose, read_words
from hostdev.inventory import pciids
from hostdev.inventory.bars import BarKind, size_text
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.pciids import Namer
from hostdev.offer.compose import compose_offer
from hostdev.offer.sets import find_sets
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Fit, Tone, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.fields import Field, Listing, check_form, write_lines
from hostdev.printing.screen import Screen
from hostdev.units.compose import compose_units, is_for_guests
from hostdev.units.unit import Unit


class Counted(NamedTuple):
    """A resource, and what hands it out."""

    resource: str
    by: By

    def __str__(self) -> str:
        return f"{self.resource} (by claim)" if self.by is By.CLAIM else self.resource


class UnitRow(NamedTuple):
    """A unit, its functions, the names of the primary one, and how many VFs beside it are alike."""

    unit: Unit
    functions: tuple[PciFunction, ...]
    names: Namer
    more: int = 0
    resources: tuple[Counted, ...] = ()
    """What counts it."""
    sets: tuple[str, ...] = ()

    @property
    def function(self) -> PciFunction:
        """The primary one."""
        return self.functions[0]


class Declared(NamedTuple):
    """What files say of units: by function the resources that count it, and the sets that name it."""

    resources: Mapping[PciAddress, tuple[Counted, ...]] = MappingProxyType({})
    sets: Mapping[PciAddress, tuple[str, ...]] = MappingProxyType({})
    findings: tuple[Finding, ...] = ()


def run(arguments: argparse.Namespace) -> int:
    """List the units of the devices that are meant, or all."""
    listing = _listing(arguments)
    if not check_form(listing, arguments):
        return ExitCode.DONE
    machine = devices.machine_at(arguments.host, bars=arguments.output != "name")
    declared = _declared(arguments, machine)
    names = pciids.namer(arguments.pci_ids, live=arguments.host == devices.LIVE)
    words = read_words(arguments.address, arguments)
    units = _units(machine, names, words, UnitKind(arguments.unit) if arguments.unit else None)
    rows = listing.sorted((_row(machine, names, unit, declared) for unit in units), arguments.sort)
    if arguments.output == "name":
        output.write("".join(f"{row.unit.id}\n" for row in rows))
    elif arguments.output == "jsonl":
        write_lines(_item(machine, row) for row in rows)
    elif arguments.output in {"json", "yaml"}:
        emit(_document(machine, rows, declared.findings), arguments.output)
    else:
        folded = rows if arguments.all or words.names or arguments.output == "csv" else _fold(rows)
        listing.write(arguments, folded)
        if not rows:
            output.note(f"note: {machine.source} has no device that a VM could have, of those that are meant")
    if arguments.output in {"table", "wide"}:
        changes.show_findings(Screen.of(arguments.color), declared.findings)
    devices.note_unread(machine)
    severities = (*map(_severity, units), *(finding.severity for finding in declared.findings))
    return findings.worst_exit_code(severities, arguments.fail_on)


def _listing(arguments: argparse.Namespace) -> Listing[UnitRow]:
    """With the columns of what files say, where there are some."""
    more = tuple(name for name, given in (("resource", arguments.state), ("sets", arguments.sets)) if given)
    return replace(LISTING, narrow=(*LISTING.narrow, *more), wide=(*LISTING.wide, *more))


def _declared(arguments: argparse.Namespace, machine: Machine) -> Declared:
    files = [name for name in (arguments.state, arguments.sets) if name]
    if not files:
        return Declared()
    state = state_of(arguments, files, machine)
    if arguments.sets and not state.sets:
        output.note(f"note: {arguments.sets} names no sets for this node")
    found = find_sets(Places(machine), state.sets)
    sets = {a: tuple(one.declared.name for one in found if a in one.functions) for one in found for a in one.functions}
    if not arguments.state:
        return Declared({}, sets, tuple(finding for one in found for finding in one.absent))
    offer = compose_offer(state, machine)
    resources: dict[PciAddress, tuple[Counted, ...]] = {}
    for pool in offer.pools:
        for address in (address for one in pool.units if one.unit for address in one.unit.functions):
            resources[address] = (*resources.get(address, ()), Counted(pool.resource, pool.by))
    return Declared(resources, sets, (*offer.findings, *make_inventory(offer).remarks))


def _row(machine: Machine, names: Namer, unit: Unit, declared: Declared) -> UnitRow:
    functions = tuple(machine.functions[address] for address in unit.functions)
    sets = dict.fromkeys(name for address in unit.functions for name in declared.sets.get(address, ()))
    counted = dict.fromkeys(one for address in unit.functions for one in declared.resources.get(address, ()))
    return UnitRow(unit, functions, names, 0, tuple(counted), tuple(sets))


def _units(machine: Machine, names: Namer, words: Words, kind: UnitKind | None) -> tuple[Unit, ...]:
    if not (words.names or words.selectors):
        return compose_units(machine, kind)
    chosen, named = choose(machine, names, words)
    functions = [one.function for one in chosen]
    # A selector also fits bridges and parts of the board; a name means what it names.
    meant = functions if named is not None else filter(is_for_guests, functions)
    return compose_units(machine, kind, [function.address for function in meant])


def _fold(rows: Sequence[UnitRow]) -> list[UnitRow]:
    """VFs of one PF that are alike become one row."""
    alike: dict[object, list[UnitRow]] = {}
    for row in rows:
        unit, pf = row.unit, row.function.physfn
        same = (unit.kind, unit.driver, unit.numa_node, unit.blockers, row.resources, row.sets)
        key: object = unit.id if pf is None else (pf, same)
        alike.setdefault(key, []).append(row)
    return [row for same in alike.values() for row in _parts(same)]


def _parts(same: list[UnitRow]) -> list[UnitRow]:
    return [same[0]._replace(more=len(same) - 1)] if len(same) >= ALIKE else same


def _document(machine: Machine, rows: Iterable[UnitRow], found: Iterable[Finding]) -> Document:
    return document(
        "UnitList",
        machine=documents.origin(machine),
        items=[_item(machine, row) for row in rows],
        findings=[finding.as_dict() for finding in found],
    )


def _item(machine: Machine, row: UnitRow) -> Document:
    unit = row.unit
    return {
        "id": unit.id,
        "unit": str(unit.kind),
        "primary": str(unit.primary),
        "functions": list(map(str, unit.functions)),
        "groups": list(unit.groups),
        "numaNode": unit.numa_node,
        "root": unit.root,
        "class": pciids.class_name(unit.class_code),
        "vendor": f"{unit.vendor:04x}",
        "device": f"{unit.device:04x}",
        "driver": unit.driver,
        "bars": [_bars(machine.functions[address]) for address in unit.functions],
        "ready": unit.ready,
        "blockers": list(unit.blockers),
        "resource": row.resources[0].resource if row.resources else None,
        "resources": [{"resource": one.resource, "by": str(one.by)} for one in row.resources],
        "sets": list(row.sets),
    }


def _bars(function: PciFunction) -> Document:
    found = documents.bars_of(function.bars)
    return {"function": str(function.address), "bars": found["bars"], "romSize": found["romSize"]}


def _severity(unit: Unit) -> Severity:
    return Severity.INFO if unit.ready else Severity.ERROR


def _ready(row: UnitRow) -> Cell:
    if row.unit.ready:
        return Cell("yes", Tone.GOOD)
    first, *others = row.unit.blockers
    return Cell(f"no: {first}" + (f" (+{len(others)})" if others else ""), Tone.BAD)


def _memory(row: UnitRow) -> str:
    """What all memory BARs take together; unknown where those of one function are."""
    sizes = [one.bars and sum(bar.size for bar in one.bars.own if bar.kind is not BarKind.IO) for one in row.functions]
    return "?" if None in sizes else dash(size_text(sum(filter(None, sizes))) if any(sizes) else None)


def other_functions(unit: Unit) -> str:
    """The functions beside the primary one, shortened where they are in the same slot."""
    first, *others = unit.functions
    return " ".join(_short(address, first) for address in others)


def _short(address: PciAddress, beside: PciAddress) -> str:
    return f".{address.function}" if address.slot_address == beside.slot_address else str(address)


def _primary(row: UnitRow) -> Cell:
    return Cell(f"{row.unit.primary} +{row.more}" if row.more else str(row.unit.primary), Tone.STRONG)


def _groups(row: UnitRow) -> str:
    return dash(",".join(map(str, row.unit.groups))) + (" …" if row.more else "")


FIELDS: tuple[Field[UnitRow], ...] = (
    Field(
        "PRIMARY",
        "the function for which a VM wants it; +N counts VFs that are alike",
        _primary,
        order=lambda row: row.unit.primary,
    ),
    Field("UNIT", "what holds it together", lambda row: str(row.unit.kind)),
    Field("WITH", "the other functions that come along", lambda row: dash(other_functions(row.unit)), Fit.CUT, spare=1),
    Field("CLASS", "what the primary function is", lambda row: pciids.class_name(row.unit.class_code), spare=3),
    Field("NAME", "its vendor and device", lambda row: pciids.title(row.function, row.names(row.function)), Fit.CUT),
    Field("DRIVER", "the driver it is bound to", lambda row: dash(row.unit.driver)),
    Field("GROUPS", "the IOMMU groups of all functions", _groups, spare=2),
    Field("NUMA", "the NUMA node that all are on", lambda row: dash(row.unit.numa_node), spare=4),
    Field("READY", "whether a VM can have it, or why not", _ready, Fit.WRAP, least=22),
    Field("ID", "its name, which stays the same", lambda row: f"{row.unit.id} …" if row.more else row.unit.id),
    Field("IDS", "vendor and device as numbers", lambda row: pciids.ids(row.function)),
    Field("MEMORY", "the size of all memory BARs together", _memory),
    Field("ROOT", "the host bridge that it hangs below", lambda row: dash(row.unit.root)),
    Field("RESOURCE", "the resource that --state offers it as", lambda row: dash(" ".join(map(str, row.resources)))),
    Field("SETS", "the sets of --sets, or --state, that it is in", lambda row: dash(" ".join(row.sets))),
    Field("BLOCKERS", "the codes of all that stands in the way", lambda row: dash(" ".join(row.unit.blockers))),
)
LISTING = Listing(FIELDS, tuple(field.name for field in FIELDS[:9]), tuple(field.name for field in FIELDS[:13]))
