"""`passgate node groups`: IOMMU groups, their members, and who keeps them from a VM."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

from domxml.errors import ExitCode
from domxml.finding import Severity
from hostdev.cli import devices, documents
from hostdev.cli.selection import Words, choose, read_words
from hostdev.gate.group import group_verdict
from hostdev.gate.verdict import GroupVerdict, MemberVerdict
from hostdev.inventory import pciids
from hostdev.inventory.devicenames import find_groups
from hostdev.inventory.machine import IommuGroup, Machine, PciFunction
from hostdev.inventory.pciids import Namer
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Fit, Tone, dash
from hostdev.printing.documents import emit
from hostdev.printing.fields import Field, Listing, check_form, write_lines

VIABLE = {"viable": True, "not-viable": False, "!viable": False}
"""Words for groups alone."""


class MemberRow(NamedTuple):
    """A member of a group, and what stands in its line."""

    verdict: GroupVerdict
    member: MemberVerdict
    kind: str | None
    function: PciFunction | None
    """None where the member is none."""
    names: Namer


def run(arguments: argparse.Namespace) -> int:
    """List the groups that are meant, or all; one row for each member."""
    if not check_form(LISTING, arguments):
        return ExitCode.DONE
    machine = devices.machine_at(arguments.host)
    names = pciids.namer(arguments.pci_ids, live=arguments.host == devices.LIVE)
    asked = [word for word in arguments.group if word.lower() not in VIABLE]
    groups = _selected(machine, names, read_words(asked, arguments))
    verdicts = [group_verdict(machine, group) for group in groups]
    for word in {word.lower() for word in arguments.group} & VIABLE.keys():
        verdicts = [verdict for verdict in verdicts if verdict.viable is VIABLE[word]]
        if not verdicts:
            output.note(f"note: none of these groups is {word}")
    if arguments.output == "name":
        output.write("".join(f"{verdict.number}\n" for verdict in verdicts))
    elif arguments.output == "jsonl":
        write_lines(documents.group_list(machine, verdicts)["items"])
    elif arguments.output in {"json", "yaml"}:
        emit(documents.group_list(machine, verdicts), arguments.output)
    else:
        if not machine.groups:
            output.note(f"note: there are no IOMMU groups on {machine.source}")
        rows = [row for verdict in verdicts for row in member_rows(machine, names, verdict)]
        LISTING.write(arguments, LISTING.sorted(rows, arguments.sort))
    devices.note_unread(machine)
    return findings.worst_exit_code(map(_severity, verdicts), arguments.fail_on)


def _selected(machine: Machine, names: Namer, words: Words) -> list[IommuGroup]:
    """Groups that are named, and of which a member fits."""
    groups = [group for _, group in sorted(machine.groups.items())]
    if words.names:
        groups = [machine.groups[number] for number in find_groups(machine, words.names)]
    if words.selectors:
        chosen, _ = choose(machine, names, words._replace(names=()))
        fitting = {device.function.group for device in chosen}
        groups = [group for group in groups if group.number in fitting]
    return groups


def member_rows(machine: Machine, names: Namer, verdict: GroupVerdict) -> Iterator[MemberRow]:
    for member in verdict.members:
        function = None if member.address is None else machine.functions.get(member.address)
        yield MemberRow(verdict, member, machine.groups[verdict.number].type, function, names)


def _viable(verdict: GroupVerdict) -> Cell:
    if verdict.empty:
        return Cell("no device", Tone.FAINT)
    if verdict.viable:
        return Cell("yes", Tone.GOOD)
    return Cell("no", Tone.BAD) if verdict.blockers else Cell("unknown", Tone.WARN)


def _blocks(row: MemberRow) -> Cell:
    if row.member.blocks:
        return Cell("blocks", Tone.BAD)
    return Cell("-" if row.member.seen else "unknown", Tone.FAINT)


def _of_function(text: Callable[[PciFunction], str]) -> Callable[[MemberRow], str]:
    return lambda row: "-" if row.function is None else text(row.function)


def _title(row: MemberRow) -> str:
    return "-" if row.function is None else pciids.title(row.function, row.names(row.function))


FIELDS: tuple[Field[MemberRow], ...] = (
    Field("GROUP", "the number of the group", lambda row: Cell(str(row.verdict.number), Tone.STRONG)),
    Field("VIABLE", "whether the group can go to a VM", lambda row: _viable(row.verdict)),
    Field("ADDRESS", "a member of the group", lambda row: row.member.name),
    Field("CLASS", "what the member is", _of_function(lambda f: pciids.class_name(f.class_code)), spare=1),
    Field("DRIVER", "the driver it is bound to", _of_function(lambda f: dash(f.driver))),
    Field("ROLE", "its part in SR-IOV", _of_function(lambda f: str(f.role)), spare=2),
    Field("BLOCKS", "whether it keeps the group from a VM", _blocks),
    Field("TYPE", "how the IOMMU translates for the group", lambda row: dash(row.kind)),
    Field("NAME", "vendor and device of the member", _title, Fit.CUT),
    Field("WHY", "why it blocks, or why not", lambda row: row.member.why, Fit.CUT),
    Field("IDS", "vendor and device as numbers", _of_function(pciids.ids)),
    Field("NUMA", "its NUMA node", _of_function(lambda f: dash(f.numa_node))),
)
LISTING = Listing(FIELDS, tuple(field.name for field in FIELDS[:7]), tuple(field.name for field in FIELDS[:10]))


def _severity(verdict: GroupVerdict) -> Severity:
    if verdict.empty:
        return Severity.INFO
    if verdict.blockers:
        return Severity.ERROR
    return Severity.WARNING if verdict.open else Severity.INFO
