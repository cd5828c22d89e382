"""`passgate node who`: who holds a device, or each of several."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from domxml.errors import BadInput, ExitCode
from domxml.text import listed
from hostdev.cli.devices import LIVE
from hostdev.cli.selection import find_meant, read_words
from hostdev.holders import processes
from hostdev.holders.claim import Claim, How, State
from hostdev.holders.holders import Answer, Asked, confirm
from hostdev.holders.inquiry import Inquiry
from hostdev.inventory import pciids
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Fit, Tone, dash
from hostdev.printing.documents import Document, document, emit, plain
from hostdev.printing.fields import Field, Listing, check_form, write_lines
from hostdev.printing.output import progress
from hostdev.printing.screen import Screen

TONES = dict.fromkeys((How.DRIVER, How.CHECKPOINT, How.CLAIM, How.PODRESOURCES), Tone.WARN)
"""All else has it open."""
AGAIN = 1.0
"""Seconds until sources that quarrel are asked again."""


class Held(NamedTuple):
    """A device and the answer about it."""

    function: PciFunction
    told: Answer
    hidden: int
    """Processes that could not be looked into."""


class ClaimRow(NamedTuple):
    """A holder of a device, or that there is none."""

    held: Held
    claim: Claim | None


def run(arguments: argparse.Namespace) -> int:
    """Ask the host and kubelet, and libvirt where that is wanted."""
    if not check_form(LISTING, arguments):
        return ExitCode.DONE
    with progress("looking through all processes"), open_host(arguments.host) as host:
        machine = scan(host)
        names = pciids.namer(live=arguments.host == LIVE)
        meant = find_meant(machine, names, read_words(arguments.address, arguments))
        answers = _ask_all(arguments, host, machine, [device.function for device in meant.devices])
    if arguments.output in {"json", "jsonl", "yaml"}:
        _emit(arguments.output, machine.source, answers, single=meant.single)
    else:
        _print(arguments, answers, single=meant.single)
    for text in dict.fromkeys(text for held in answers for text in _notes(held.told)):
        output.note(f"note: {text}")
    found = [finding for held in answers for finding in held.told.findings]
    endings = (_ending(held.told, hidden=bool(held.hidden)) for held in answers)
    return findings.exit_code(found, arguments.fail_on) or next(filter(None, endings), ExitCode.DONE)


def _ask_all(
    arguments: argparse.Namespace, host: Host, machine: Machine, functions: Sequence[PciFunction]
) -> list[Held]:
    answers = [_ask(arguments, host, machine, function) for function in functions]
    if all(held.told.agree is not False for held in answers):
        return answers
    # Processes and kubelet's two sources are not read at the same moment.
    time.sleep(AGAIN)
    return [_again(arguments, host, machine, held) if held.told.agree is False else held for held in answers]


def _again(arguments: argparse.Namespace, host: Host, machine: Machine, first: Held) -> Held:
    later = _ask(arguments, host, machine, first.function)
    return later._replace(told=confirm(first.told, later.told))


def _ask(arguments: argparse.Namespace, host: Host, machine: Machine, function: PciFunction) -> Held:
    if arguments.kubelet_dir is None and not processes.processes(host):
        hint = "ask on the running node itself, or name a copy of its --kubelet-dir"
        raise BadInput("no-processes", f"{host.source} has no processes to look at", hint=hint)
    root = Path(arguments.host) if Path(arguments.host).is_dir() else None
    inquiry = Inquiry(host, kubelet_dir=arguments.kubelet_dir, root=root)
    if not arguments.connect:
        return Held(function, inquiry.ask(machine, function), inquiry.hidden)
    from hostdev.cli import livelibvirt  # noqa: PLC0415  loads libvirt

    told = inquiry.ask(machine, function, livelibvirt.ask_domains(arguments.connect, function.address))
    return Held(function, replace(told, asked=(Asked(How.DOMAIN), *told.asked)), inquiry.hidden)


def _print(arguments: argparse.Namespace, answers: Sequence[Held], *, single: bool) -> None:
    rows = [ClaimRow(held, claim) for held in answers for claim in held.told.claims or (None,)]
    if arguments.output == "csv":
        LISTING.write(arguments, LISTING.sorted(rows, arguments.sort))
        return
    holders = [row for row in rows if row.claim]
    if holders:
        (ONE if single else LISTING).write(arguments, LISTING.sorted(holders, arguments.sort))
    screen = Screen.of(arguments.color)
    for held in answers:
        if held.told.claims:
            screen.line(*_verdict(held.function, held.told))
    for state, who in ((State.FREE, "nobody"), (State.UNKNOWN, "nobody that could be seen")):
        free = [held.function.address for held in answers if not held.told.claims and held.told.state is state]
        if free:
            screen.line(f"{who} holds {listed(free, len(free))}")
    for found in (found for held in answers for found in held.told.findings):
        for row in findings.finding_rows(found):
            screen.line(*row)


def _notes(told: Answer) -> Iterator[str]:
    """What the answer had to do without, in words."""
    silent = [source for source in told.asked if source.why and not source.missing]
    yield from (f"{_SOURCES.get(source.how, source.how)}: {source.why}" for source in silent)


_SOURCES = {
    How.OPEN: "not all processes were seen",
    How.CHECKPOINT: "kubelet's checkpoint could not be read",
    How.CLAIM: "not all records of resource claims could be read",
    How.PODRESOURCES: "kubelet's PodResources could not be asked",
}


def _verdict(function: PciFunction, told: Answer) -> Iterator[Cell | str]:
    yield f"{function.address} is {_WORDS[told.state]}"
    if told.agree is not None:
        yield Cell(", and the sources agree", Tone.GOOD) if told.agree else Cell(", and the sources disagree", Tone.BAD)


_WORDS = {
    State.OPEN: "open",
    State.ALLOCATED: "allocated, and not seen open",
    State.HOST: "held by the host",
}


def _of_claim(text: Callable[[Claim], Cell | str]) -> Callable[[ClaimRow], Cell | str]:
    return lambda row: "-" if row.claim is None else text(row.claim)


FIELDS: tuple[Field[ClaimRow], ...] = (
    Field(
        "ADDRESS", "the device", lambda row: str(row.held.function.address), order=lambda row: row.held.function.address
    ),
    Field(
        "HOW", "by which source it is known", _of_claim(lambda claim: Cell(claim.how, TONES.get(claim.how, Tone.BAD)))
    ),
    Field("WHO", "a process, a domain, a driver, a resource", _of_claim(lambda claim: Cell(claim.who, Tone.STRONG))),
    Field("PID", "the process", _of_claim(lambda claim: dash(claim.pid))),
    Field("GUEST", "the domain", _of_claim(lambda claim: dash(claim.guest))),
    Field("POD", "the pod, by name where it is known", _of_claim(lambda claim: dash(claim.holder)), spare=1),
    Field("SEEN", "the file, option, variable or domain that shows it", _of_claim(lambda claim: claim.where), Fit.WRAP),
    Field("CONTAINER", "the container in the pod", _of_claim(lambda claim: dash(claim.container))),
    Field("POD UID", "the pod's UID", _of_claim(lambda claim: dash(claim.pod))),
    Field("EXACT", "or one of an IOMMU group", _of_claim(lambda claim: "yes" if claim.exact else "one of the group")),
    Field("UNIT", "the unit that was granted, by its id", _of_claim(lambda claim: dash(claim.unit)), spare=1),
    Field("CLAIM", "the resource claim that it was prepared for", _of_claim(lambda claim: dash(claim.resource_claim))),
    Field("GROUP", "the IOMMU group", lambda row: dash(row.held.function.group)),
    Field("STATE", "what is true of the device", lambda row: str(row.held.told.state)),
)
_NAMES = tuple(field.name for field in FIELDS)
LISTING = Listing(FIELDS, _NAMES[:7], _NAMES[:12])
ONE = Listing(FIELDS, _NAMES[1:7], _NAMES[1:12])
"""Of one device its address stands below the table."""


def _emit(form: str, source: str, answers: Sequence[Held], *, single: bool) -> None:
    if form == "jsonl":
        write_lines(map(_holders, answers))
    elif single:
        (held,) = answers
        emit(document("Holders", source=source, **_holders(held)), form)
    else:
        emit(document("HoldersList", source=source, items=list(map(_holders, answers))), form)


def _holders(held: Held) -> Document:
    function, told = held.function, held.told
    return {
        "address": str(function.address),
        "group": function.group,
        "state": str(told.state),
        "agree": told.agree,
        "complete": told.complete,
        "hiddenProcesses": held.hidden,
        "sources": [plain(asked) for asked in told.asked],
        "items": [plain(claim) for claim in told.claims],
        "findings": [finding.as_dict() for finding in told.findings],
    }


def _ending(told: Answer, *, hidden: bool) -> ExitCode:
    """That a device is free is an answer only when all sources could be looked at."""
    if told.complete or any(claim.how is not How.DRIVER for claim in told.claims):
        return ExitCode.DONE
    return ExitCode.NOT_PERMITTED if hidden else ExitCode.HOST_UNREADABLE
