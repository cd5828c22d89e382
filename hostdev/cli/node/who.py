"""`passgate node who`: who holds a device."""

from __future__ import annotations

import argparse

from domxml.errors import BadInput, ExitCode
from hostdev.cli import documents, holders, output
from hostdev.cli.cells import Cell, Column, Fit, Tone, dash
from hostdev.cli.devices import select
from hostdev.cli.holders import Answer, Holder, How
from hostdev.cli.patience import patience
from hostdev.cli.screen import Screen
from hostdev.machine import PciFunction
from hostdev.recorded import open_host
from hostdev.scan import scan

TABLE = (
    Column("HOW"),
    Column("WHO"),
    Column("PID"),
    Column("GUEST"),
    Column("POD", spare=True),
    Column("SEEN", Fit.WRAP),
)
TONES = {How.DRIVER: Tone.WARN, How.OPEN: Tone.BAD, How.TOLD: Tone.BAD, How.DOMAIN: Tone.BAD}


def run(arguments: argparse.Namespace) -> int:
    """Ask the host, and libvirt where that is wanted."""
    with patience("looking through all processes"), open_host(arguments.host) as host:
        machine = scan(host)
        (address,) = select(machine, [arguments.address]) or ()
        function = machine.functions[address]
        if not holders.processes(host):
            raise BadInput(
                "no-processes", f"{machine.source} has no processes to look at", hint="ask on the running node itself"
            )
        answer = holders.ask(host, function)
    if arguments.connect:
        from hostdev.cli import livedomains  # noqa: PLC0415  loads lxml, and libvirt

        answer = Answer((*answer.holders, *livedomains.ask(arguments.connect, address)), answer.hidden)
    if arguments.output == "table":
        _print(Screen.of(arguments.color), function, answer)
    else:
        documents.emit(_document(machine.source, function, answer), arguments.output)
    return _ending(answer)


def _print(screen: Screen, function: PciFunction, answer: Answer) -> None:
    if answer.holders:
        screen.table(TABLE, [_row(holder) for holder in answer.holders])
    else:
        output.write(f"nobody {'that could be seen ' if answer.hidden else ''}holds {function.address}\n")
    if answer.hidden:
        output.tell(f"note: not permitted to look into {len(answer.hidden)} processes; ask again as root")


def _row(holder: Holder) -> tuple[Cell | str, ...]:
    return (
        Cell(holder.how, TONES[holder.how]),
        Cell(holder.who, Tone.STRONG),
        dash(holder.pid),
        dash(holder.guest),
        dash(holder.pod),
        holder.where,
    )


def _document(source: str, function: PciFunction, answer: Answer) -> documents.Document:
    return documents.document(
        "Holders",
        source=source,
        address=str(function.address),
        group=function.group,
        complete=not answer.hidden,
        hiddenProcesses=len(answer.hidden),
        items=[documents.plain(holder) for holder in answer.holders],
    )


def _ending(answer: Answer) -> ExitCode:
    """Nobody is an answer only when everybody could be looked at."""
    found = any(holder.how is not How.DRIVER for holder in answer.holders)
    return ExitCode.DONE if found or not answer.hidden else ExitCode.NOT_PERMITTED
