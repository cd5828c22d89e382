"""`passgate node list`: PCI functions and whether they can be passed through."""

from __future__ import annotations

import argparse

from hostdev.cli import devices, documents
from hostdev.cli.devices import Device, list_devices, select
from hostdev.inventory import pciids
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
    shown = list_devices(machine, names, select(machine, arguments.address))
    if arguments.output == "name":
        output.write("".join(f"{device.function.address}\n" for device in shown))
    elif arguments.output in {"json", "yaml"}:
        emit(documents.device_list(machine, shown), arguments.output)
    else:
        wide = arguments.output == "wide"
        rows = [_row(device) + (_more(device) if wide else ()) for device in shown]
        Screen.of(arguments.color).table(WIDE if wide else NARROW, rows)
    devices.note_unread(machine)
    return findings.exit_code((found for device in shown for found in device.verdict.findings), arguments.fail_on)


def _row(device: Device) -> Row:
    function = device.function
    tone = Tone.FAINT if function.bridge else Tone.PLAIN
    texts = (
        str(function.address),
        device.class_name,
        device.title,
        dash(function.driver),
        dash(function.group),
        dash(function.numa_node),
        str(function.role),
    )
    return (*(Cell(text, tone) for text in texts), device.answer)


def _more(device: Device) -> Row:
    function = device.function
    vfs = f"{function.num_vfs or 0}/{function.total_vfs}" if function.total_vfs else ""
    reset = "?" if function.reset_methods is None else ",".join(function.reset_methods) or "none"
    return (pciids.ids(function), dash(vfs), dash(reset), dash("; ".join(device.users)))
