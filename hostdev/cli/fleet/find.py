"""`passgate fleet find`: the devices of all nodes that fit an expression."""

from __future__ import annotations

import argparse
from functools import partial
from typing import NamedTuple

from domxml.errors import ExitCode
from domxml.text import visible
from hostdev.cli.fleet.survey import each_node, open_fleet
from hostdev.fleet.node import Node, State
from hostdev.fleet.query import BadExpression, Expression, Found, parse_expression
from hostdev.fleet.snapshots import Broken
from hostdev.inventory import pciids
from hostdev.inventory.pciids import Namer
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Fit, Tone, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.fields import Field, Listing, check_form, write_lines

TONES = {State.READY: Tone.GOOD, State.HELD: Tone.WARN, State.BLOCKED: Tone.BAD, State.UNKNOWN: Tone.WARN}


class DeviceRow(NamedTuple):
    """A device of a node, in words: rows come from other processes."""

    node: str
    address: str
    unit: str
    unit_kind: str
    beside: tuple[str, ...]
    """The other functions of its unit."""
    class_name: str
    title: str
    ids: str
    driver: str | None
    group: int | None
    numa: int | None
    role: str
    state: State
    reasons: tuple[str, ...]
    holder: str | None


def run(arguments: argparse.Namespace) -> int:
    """Look for devices; none is no error, but with --fail-on."""
    if not check_form(LISTING, arguments):
        return ExitCode.DONE
    expression = _expression(arguments.expression)
    namer = pciids.namer(arguments.pci_ids, live=False)
    fleet = open_fleet(arguments.fleet)
    found = list(each_node(fleet, partial(_find, expression=expression, namer=namer)))
    broken = [one.finding for one in found if isinstance(one, Broken)]
    rows = LISTING.sorted((row for one in found if not isinstance(one, Broken) for row in one), arguments.sort)
    if arguments.output == "name":
        output.write("".join(f"{visible(name)}\n" for name in dict.fromkeys(row.node for row in rows)))
    elif arguments.output == "jsonl":
        write_lines(map(_item, rows))
    elif arguments.output in {"json", "yaml"}:
        told = [one.as_dict() for one in (*fleet.findings, *broken)]
        items = [_item(row) for row in rows]
        asked = " ".join(arguments.expression)
        emit(
            document("FleetDeviceList", fleet=fleet.directory, expression=asked, items=items, findings=told),
            arguments.output,
        )
    else:
        if rows:
            LISTING.write(arguments, rows)
        _note(rows, len(fleet.snapshots) - len(broken))
    return findings.exit_code((*fleet.findings, *broken), arguments.fail_on)


def _expression(words: list[str]) -> Expression:
    """Read it; what cannot be read is shown with the place."""
    try:
        return parse_expression(words)
    except BadExpression as error:
        output.note(error.text)
        output.note(f"{' ' * len(visible(error.text[: error.at]))}^")
        raise


def _find(node: Node, *, expression: Expression, namer: Namer) -> list[DeviceRow]:
    return [_row(one) for one in expression.find(node, namer)]


def _row(one: Found) -> DeviceRow:
    function = one.function
    return DeviceRow(
        one.node.name,
        str(function.address),
        one.unit.id,
        str(one.unit.kind),
        tuple(str(address) for address in one.unit.functions if address != function.address),
        pciids.class_name(function.class_code),
        one.title,
        pciids.ids(function),
        function.driver,
        function.group,
        function.numa_node,
        str(function.role),
        one.state,
        one.reasons,
        next(iter(one.node.holders_of(one.unit)), None),
    )


def _item(row: DeviceRow) -> Document:
    return {
        "node": row.node,
        "address": row.address,
        "unit": {"id": row.unit, "kind": row.unit_kind, "with": list(row.beside)},
        "class": row.class_name,
        "title": row.title,
        "ids": row.ids,
        "driver": row.driver,
        "group": row.group,
        "numaNode": row.numa,
        "role": row.role,
        "state": str(row.state),
        "reasons": list(row.reasons),
        "heldBy": row.holder,
    }


def _note(rows: list[DeviceRow], nodes: int) -> None:
    where = len({row.node for row in rows})
    what = f"{len(rows)} devices on {where} of {nodes} nodes" if rows else f"no device of {nodes} nodes fits"
    output.note(f"note: {what}")


def _state(row: DeviceRow) -> Cell:
    first, *others = row.reasons or ("",)
    why = f": {first}" + (f" (+{len(others)})" if others else "") if first else ""
    return Cell(f"{row.state}{why}", TONES[row.state])


FIELDS: tuple[Field[DeviceRow], ...] = (
    Field("NODE", "the name of its node", lambda row: row.node),
    Field("ADDRESS", "where it is", lambda row: Cell(row.address, Tone.STRONG)),
    Field("CLASS", "what it is", lambda row: row.class_name, spare=2),
    Field("NAME", "vendor and device, by number where no name is known", lambda row: row.title, Fit.CUT, spare=1),
    Field("DRIVER", "the driver it is bound to", lambda row: dash(row.driver)),
    Field("NUMA", "its NUMA node", lambda row: dash(row.numa), spare=3),
    Field("STATE", "ready, held, blocked or unknown, and why", _state, Fit.WRAP, least=22),
    Field("IDS", "vendor and device as numbers", lambda row: row.ids),
    Field("GROUP", "its IOMMU group", lambda row: dash(row.group)),
    Field("ROLE", "its part in SR-IOV", lambda row: row.role),
    Field("WITH", "the functions that come along", lambda row: dash(" ".join(row.beside))),
    Field("UNIT", "the ID of its unit", lambda row: row.unit),
    Field("REASONS", "the codes of all that stands in the way", lambda row: dash(" ".join(row.reasons))),
)
LISTING = Listing(FIELDS, tuple(field.name for field in FIELDS[:7]), tuple(field.name for field in FIELDS[:12]))
