"""`passgate node who`: who holds a device."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from domxml.errors import BadInput, ExitCode
from hostdev.cli.devices import select
from hostdev.holders import processes
from hostdev.holders.claim import Claim, How, State
from hostdev.holders.holders import Answer, Asked, confirm
from hostdev.holders.inquiry import Inquiry
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Column, Fit, Row, Tone, dash
from hostdev.printing.documents import Document, document, emit, plain
from hostdev.printing.output import progress
from hostdev.printing.screen import Screen

NARROW = (
    Column("HOW"),
    Column("WHO"),
    Column("PID"),
    Column("GUEST"),
    Column("POD", spare=1),
    Column("SEEN", Fit.WRAP),
)
WIDE = (*NARROW, Column("CONTAINER"), Column("POD UID"), Column("EXACT"))
TONES = {How.DRIVER: Tone.WARN, How.CHECKPOINT: Tone.WARN, How.PODRESOURCES: Tone.WARN}
"""All else has it open."""
AGAIN = 1.0
"""Seconds until sources that quarrel are asked again."""


def run(arguments: argparse.Namespace) -> int:
    """Ask the host and kubelet, and libvirt where that is wanted."""
    with progress("looking through all processes"), open_host(arguments.host) as host:
        machine = scan(host)
        (address,) = select(machine, [arguments.address]) or ()
        function = machine.functions[address]
        told, hidden = _ask(arguments, host, machine, function)
        if told.agree is False:
            # Processes and kubelet's two sources are not read at the same moment.
            time.sleep(AGAIN)
            later, hidden = _ask(arguments, host, machine, function)
            told = confirm(told, later)
    if arguments.output in {"json", "yaml"}:
        emit(_document(machine.source, function, told, hidden), arguments.output)
    else:
        _print(Screen.of(arguments.color), function, told, wide=arguments.output == "wide")
    for source in told.asked:
        if source.why and not source.missing:
            output.note(f"note: {source.how}: {source.why}")
    return findings.exit_code(told.findings, arguments.fail_on) or _ending(told, hidden=bool(hidden))


def _ask(arguments: argparse.Namespace, host: Host, machine: Machine, function: PciFunction) -> tuple[Answer, int]:
    """The answer, and how many processes could not be looked into."""
    if arguments.kubelet_dir is None and not processes.processes(host):
        hint = "ask on the running node itself, or name a copy of its --kubelet-dir"
        raise BadInput("no-processes", f"{host.source} has no processes to look at", hint=hint)
    root = Path(arguments.host) if Path(arguments.host).is_dir() else None
    inquiry = Inquiry(host, kubelet_dir=arguments.kubelet_dir, root=root)
    if not arguments.connect:
        return inquiry.ask(machine, function), inquiry.hidden
    from hostdev.cli import livelibvirt  # noqa: PLC0415  loads libvirt

    told = inquiry.ask(machine, function, livelibvirt.ask_domains(arguments.connect, function.address))
    return replace(told, asked=(Asked(How.DOMAIN), *told.asked)), inquiry.hidden


def _print(screen: Screen, function: PciFunction, told: Answer, *, wide: bool) -> None:
    if told.claims:
        rows = [_row(claim) + (_more(claim) if wide else ()) for claim in told.claims]
        screen.table(WIDE if wide else NARROW, rows)
        screen.line(*_verdict(function, told))
    else:
        who = "nobody" if told.state is State.FREE else "nobody that could be seen"
        screen.line(f"{who} holds {function.address}")
    for found in told.findings:
        for row in findings.finding_rows(found):
            screen.line(*row)


def _verdict(function: PciFunction, told: Answer) -> Iterator[Cell | str]:
    yield f"{function.address} is {_WORDS[told.state]}"
    if told.agree is not None:
        yield Cell(", and the sources agree", Tone.GOOD) if told.agree else Cell(", and the sources disagree", Tone.BAD)


_WORDS = {
    State.OPEN: "open",
    State.ALLOCATED: "allocated, and not seen open",
    State.HOST: "held by the host",
}


def _row(claim: Claim) -> Row:
    return (
        Cell(claim.how, TONES.get(claim.how, Tone.BAD)),
        Cell(claim.who, Tone.STRONG),
        dash(claim.pid),
        dash(claim.guest),
        dash(claim.holder),
        claim.where,
    )


def _more(claim: Claim) -> Row:
    return (dash(claim.container), dash(claim.pod), "yes" if claim.exact else "one of the group")


def _document(source: str, function: PciFunction, told: Answer, hidden: int) -> Document:
    return document(
        "Holders",
        source=source,
        address=str(function.address),
        group=function.group,
        state=str(told.state),
        agree=told.agree,
        complete=told.complete,
        hiddenProcesses=hidden,
        sources=[plain(asked) for asked in told.asked],
        items=[plain(claim) for claim in told.claims],
        findings=[finding.as_dict() for finding in told.findings],
    )


def _ending(told: Answer, *, hidden: bool) -> ExitCode:
    """That a device is free is an answer only when all sources could be looked at."""
    if told.complete or any(claim.how is not How.DRIVER for claim in told.claims):
        return ExitCode.DONE
    return ExitCode.NOT_PERMITTED if hidden else ExitCode.HOST_UNREADABLE
