"""`passgate node list`: PCI functions and whether they can be passed through, by default on one screen."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence

from hostdev.cli import devices, documents
from hostdev.cli.devices import Device, accept, list_devices, select
from hostdev.inventory import pciids
from hostdev.inventory.functions import DEVICES as FUNCTIONS
from hostdev.inventory.pciclasses import board_part, may_be_board_part
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Column, Fit, Row, Tone, dash
from hostdev.printing.documents import emit
from hostdev.printing.screen import Screen

NARROW = (
    Column("ADDRESS"),
    Column("CLASS", spare=True),
    Column("NAME", Fit.CUT),
    Column("DRIVER"),
    Column("GROUP"),
    Column("NUMA", spare=True),
    Column("ROLE", spare=True),
    Column("PASSTHROUGH", Fit.CUT, least=24),
)
WIDE = (
    *NARROW,
    Column("IDS", spare=True),
    Column("VFS", spare=True),
    Column("RESET", spare=True),
    Column("HAS", Fit.CUT, spare=True),
)

BRIDGES, PARTS, MAYBE = "bridges", "parts of the board", "functions that may be parts of the board"
_ONE = {BRIDGES: "bridge", PARTS: "part of the board", MAYBE: "function that may be a part of the board"}
ALIKE = 3
"""So many VFs that are alike become one row."""

Alike = tuple[Device, ...]
"""One device, or VFs of one PF that have the same driver and the same verdict."""


def run(arguments: argparse.Namespace) -> int:
    """List the devices named, or all."""
    machine = devices.machine_at(arguments.host)
    names = pciids.namer(arguments.pci_ids, live=arguments.host == devices.LIVE)
    named = select(machine, arguments.address)
    shown = list_devices(machine, names, named, accept(arguments.despite, named))
    if arguments.output == "name":
        output.write("".join(f"{device.function.address}\n" for device in shown))
    elif arguments.output in {"json", "yaml"}:
        emit(documents.device_list(machine, shown), arguments.output)
    else:
        whole = bool(named) or arguments.all
        _print(Screen.of(arguments.color), shown, wide=arguments.output == "wide", whole=whole)
        if not shown:
            output.note(f"note: there are no PCI functions on {machine.source}: its {FUNCTIONS} is empty or not there")
    devices.note_unread(machine)
    return findings.exit_code((found for device in shown for found in device.verdict.findings), arguments.fail_on)


def _print(screen: Screen, shown: Sequence[Device], *, wide: bool, whole: bool) -> None:
    alike, left_out = ([(device,) for device in shown], Counter[str]()) if whole else _fold(shown)
    screen.table(WIDE if wide else NARROW, [_row(row) + (_more(row) if wide else ()) for row in alike])
    if left_out:
        screen.line(Cell(_summary(left_out), Tone.FAINT))


def _row(alike: Alike) -> Row:
    device = alike[0]
    function = device.function
    tone = Tone.FAINT if function.bridge else Tone.PLAIN
    several = len(alike) > 1
    texts = (
        f"{function.address} +{len(alike) - 1}" if several else str(function.address),
        device.class_name,
        device.title,
        dash(function.driver),
        _of_all(dash(each.function.group) for each in alike),
        dash(function.numa_node),
        f"{len(alike)} vfs" if several else str(function.role),
    )
    return (*(Cell(text, tone) for text in texts), device.answer)


def _more(alike: Alike) -> Row:
    function = alike[0].function
    vfs = f"{function.num_vfs or 0}/{function.total_vfs}" if function.total_vfs else ""
    reset = "?" if function.reset_methods is None else ",".join(function.reset_methods) or "none"
    users = _of_all("; ".join(device.users) for device in alike)
    return (pciids.ids(function), dash(vfs), dash(reset), dash(users))


def _of_all(texts: Iterable[str]) -> str:
    """What alike devices have: the one text, or the first and that there are others."""
    first, *others = dict.fromkeys(texts)
    return f"{first} …" if others else first


def _fold(shown: Iterable[Device]) -> tuple[list[Alike], Counter[str]]:
    """The rows of a short list, and how many devices of which kind it leaves out."""
    left_out: Counter[str] = Counter()
    rows: dict[object, Alike] = {}
    for device in shown:
        kind = _unlisted(device)
        if kind:
            left_out[kind] += 1
            continue
        key = _likeness(device)
        rows[key] = (*rows.get(key, ()), device)
    return [part for alike in rows.values() for part in _parts(alike)], left_out


def _summary(left_out: Counter[str]) -> str:
    """One line about what is left out."""
    counts = (
        f"{left_out[kind]} {one if left_out[kind] == 1 else kind}" for kind, one in _ONE.items() if left_out[kind]
    )
    return f"not listed: {', '.join(counts)}; --all lists {'it' if left_out.total() == 1 else 'them'}"


def _unlisted(device: Device) -> str | None:
    function = device.function
    if function.bridge:
        return BRIDGES
    # One that is bound for a guest is no quiet part of the board.
    if is_on_vfio(function):
        return None
    if board_part(function):
        return PARTS
    return MAYBE if may_be_board_part(function) else None


def _likeness(device: Device) -> object:
    function = device.function
    if function.physfn is None:
        return function.address
    return function.physfn, function.driver, function.device, function.numa_node, device.passes, device.reasons


def _parts(alike: Alike) -> Iterable[Alike]:
    return (alike,) if len(alike) >= ALIKE else ((device,) for device in alike)
