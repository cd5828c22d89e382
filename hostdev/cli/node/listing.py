"""`passgate node list`: PCI functions and whether they can be passed through."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence

from hostdev.cli import devices, documents
from hostdev.cli.devices import Device, accept, list_devices, select
from hostdev.cli.node.folding import Alike, fold, summary
from hostdev.inventory import pciids
from hostdev.inventory.functions import DEVICES as FUNCTIONS
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
    alike, left_out = ([(device,) for device in shown], Counter[str]()) if whole else fold(shown)
    screen.table(WIDE if wide else NARROW, [_row(row) + (_more(row) if wide else ()) for row in alike])
    if left_out:
        screen.line(Cell(summary(left_out), Tone.FAINT))


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
