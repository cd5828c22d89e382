"""`passgate node groups`: IOMMU groups, their members, and who keeps them from a VM."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from domxml.finding import Severity
from hostdev.cli import devices, documents
from hostdev.gate.group import group_verdict
from hostdev.gate.verdict import GroupVerdict, MemberVerdict
from hostdev.inventory import pciids
from hostdev.inventory.devicenames import find_groups
from hostdev.inventory.machine import IommuGroup, Machine
from hostdev.inventory.pciids import Namer
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Column, Fit, Row, Tone, dash
from hostdev.printing.documents import emit
from hostdev.printing.screen import Screen

NARROW = (
    Column("GROUP"),
    Column("VIABLE"),
    Column("ADDRESS"),
    Column("CLASS", spare=True),
    Column("DRIVER"),
    Column("ROLE", spare=True),
    Column("BLOCKS"),
)
WIDE = (*NARROW, Column("TYPE"), Column("NAME", Fit.CUT), Column("WHY", Fit.CUT))


def run(arguments: argparse.Namespace) -> int:
    """List the groups named, or all; one row for each member."""
    machine = devices.machine_at(arguments.host)
    verdicts = [group_verdict(machine, group) for group in _selected(machine, arguments.group)]
    if arguments.output == "name":
        output.write("".join(f"{verdict.number}\n" for verdict in verdicts))
    elif arguments.output in {"json", "yaml"}:
        emit(documents.group_list(machine, verdicts), arguments.output)
    else:
        if not verdicts:
            output.note(f"note: there are no IOMMU groups on {machine.source}")
        wide = arguments.output == "wide"
        names = pciids.namer(arguments.pci_ids, live=arguments.host == devices.LIVE)
        rows = [row if wide else row[: len(NARROW)] for verdict in verdicts for row in _rows(machine, names, verdict)]
        Screen.of(arguments.color).table(WIDE if wide else NARROW, rows)
    devices.note_unread(machine)
    return findings.worst_exit_code(map(_severity, verdicts), arguments.fail_on)


def _selected(machine: Machine, words: Sequence[str]) -> list[IommuGroup]:
    if not words:
        return [group for _, group in sorted(machine.groups.items())]
    return [machine.groups[number] for number in find_groups(machine, words)]


def _rows(machine: Machine, names: Namer, verdict: GroupVerdict) -> Iterator[Row]:
    """A row for each member."""
    number = Cell(str(verdict.number), Tone.STRONG)
    for member in verdict.members:
        yield (number, _viable(verdict), *_member(machine, names, member, machine.groups[verdict.number].type))


def _viable(verdict: GroupVerdict) -> Cell:
    if verdict.empty:
        return Cell("no device", Tone.FAINT)
    if verdict.viable:
        return Cell("yes", Tone.GOOD)
    return Cell("no", Tone.BAD) if verdict.blockers else Cell("unknown", Tone.WARN)


def _member(machine: Machine, names: Namer, member: MemberVerdict, kind: str | None) -> Row:
    function = None if member.address is None else machine.functions.get(member.address)
    blocks = Cell("blocks", Tone.BAD) if member.blocks else Cell("-" if member.seen else "unknown", Tone.FAINT)
    if function is None:
        return (member.name, "-", "-", "-", blocks, dash(kind), "-", member.why)
    return (
        member.name,
        pciids.class_name(function.class_code),
        dash(function.driver),
        str(function.role),
        blocks,
        dash(kind),
        pciids.title(function, names(function)),
        member.why,
    )


def _severity(verdict: GroupVerdict) -> Severity:
    if verdict.empty:
        return Severity.INFO
    if verdict.blockers:
        return Severity.ERROR
    return Severity.WARNING if verdict.open else Severity.INFO
