"""`passgate node vitals`: whether the devices of VMs arrived in their guests."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from domxml.errors import BadInput, ExitCode, HostUnreadable
from domxml.source import HostDevice, Mdev
from domxml.text import listed
from hostdev.binding.child import look_in_child
from hostdev.cli.devices import LIVE
from hostdev.cli.selection import find_meant, read_words
from hostdev.holders.claim import Claim
from hostdev.inventory import pciids
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Fit, Tone, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.fields import Field, Listing, check_form, write_lines
from hostdev.printing.output import progress
from hostdev.printing.screen import Screen
from hostdev.vitals.guestview import GuestView
from hostdev.vitals.look import find_held, look_around, signs_of
from hostdev.vitals.repeat import confirm, next_pause, with_rises
from hostdev.vitals.signs import Signs, Verdict, Vital
from hostdev.vitals.verdict import judge

TONES = {
    Verdict.ARRIVED: Tone.GOOD,
    Verdict.TROUBLE: Tone.BAD,
    Verdict.NOT_HELD: Tone.FAINT,
    Verdict.NOT_YET: Tone.PLAIN,
    Verdict.NO_SIGN: Tone.WARN,
    Verdict.UNKNOWN: Tone.WARN,
}
T = TypeVar("T")
AGAIN = 1.0
"""Seconds until trouble is looked at a second time."""
DEADLINE = 60.0
"""Seconds for one look, and for libvirt's answer."""
MOST = 8
"""So many devices are named in a note."""
SETTLED = frozenset({Verdict.ARRIVED, Verdict.TROUBLE})


class Picture(NamedTuple):
    """One look at a host."""

    source: str
    signs: tuple[Signs, ...]


def run(arguments: argparse.Namespace) -> int:
    """Look once, or until all verdicts are made."""
    _check(arguments)
    if not check_form(LISTING, arguments):
        return ExitCode.DONE
    if arguments.watch:
        return _watch(arguments)
    with progress("looking at the devices of VMs"):
        picture, vitals = _look(arguments)
        if any(vital.verdict is Verdict.TROUBLE for vital in vitals):
            time.sleep(AGAIN)
            picture, later = _look(arguments, picture)
            vitals = confirm(vitals, later)
    _show(arguments, picture.source, vitals)
    return _ending(vitals)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.ask_qemu and not arguments.connect:
        raise BadInput("bad-usage", "--ask-qemu asks by a libvirt, and none is named", hint="add --connect URI")
    if arguments.timeout is not None and not arguments.watch:
        raise BadInput("bad-usage", "--timeout is for --watch", hint="add --watch")


def _look(arguments: argparse.Namespace, before: Picture | None = None) -> tuple[Picture, tuple[Vital, ...]]:
    picture = _picture(arguments)
    guests = _guests(arguments, picture)
    signs = tuple(one._replace(guest=guests.get(one.device)) for one in picture.signs)
    signs = with_rises(signs, before.signs if before else ())
    return Picture(picture.source, signs), tuple(map(judge, signs))


def _picture(arguments: argparse.Namespace) -> Picture:
    def look() -> Picture:
        with open_host(arguments.host) as host:
            return _taken(arguments, host)

    # A file of a running kernel may not answer, and then the look is given up.
    return _bounded(look, "the host") if arguments.host == LIVE else look()


def _taken(arguments: argparse.Namespace, host: Host) -> Picture:
    machine = scan(host)
    around = look_around(host)
    named = _named(arguments, machine)
    held = find_held(host, machine, _candidates(machine) if named is None else named)
    devices = held if named is not None else [device for device, one in held.items() if one.claims or not one.complete]
    signs = (signs_of(host, machine, device, around, held[device]) for device in devices)
    return Picture(machine.source, tuple(signs))


def _candidates(machine: Machine) -> list[HostDevice]:
    """What a VM may hold."""
    functions = [address for address, function in sorted(machine.functions.items()) if is_on_vfio(function)]
    return [*functions, *map(Mdev, sorted(machine.mdevs))]


def _named(arguments: argparse.Namespace, machine: Machine) -> list[HostDevice] | None:
    """The devices that words name; None where there are none."""
    uuids = [word for word in arguments.address if word.lower() in machine.mdevs]
    words = read_words([word for word in arguments.address if word not in uuids], arguments)
    if not (uuids or words.names or words.selectors):
        return None
    mediated: list[HostDevice] = [Mdev(uuid.lower()) for uuid in uuids]
    if not (words.names or words.selectors):
        return mediated
    meant = find_meant(machine, pciids.namer(live=arguments.host == LIVE), words)
    return list(dict.fromkeys([*(one.function.address for one in meant.devices), *mediated]))


def _guests(arguments: argparse.Namespace, picture: Picture) -> Mapping[HostDevice, GuestView]:
    if not arguments.connect:
        return {}
    from hostdev.cli import livelibvirt  # noqa: PLC0415  loads libvirt

    devices = [one.device for one in picture.signs]
    views = livelibvirt.view_devices
    return _bounded(lambda: views(arguments.connect, devices, ask_qemu=arguments.ask_qemu), "libvirt")


def _bounded(work: Callable[[], T], what: str) -> T:
    found = look_in_child(work, DEADLINE)
    if found is None:
        text = f"{what} has not answered within {DEADLINE:.0f} s, and is not waited for any longer"
        hint = "`ps -eo pid,stat,wchan,cmd` shows what waits in state D"
        raise HostUnreadable("host-unreadable", text, subject=what, hint=hint)
    return found


def _watch(arguments: argparse.Namespace) -> int:
    """Print a line for each verdict that changes, until all are made or the time is over."""
    end = None if arguments.timeout is None else time.monotonic() + arguments.timeout
    told: dict[HostDevice, Verdict] = {}
    picture: Picture | None = None
    last: tuple[Vital, ...] = ()
    pause = 0.0
    while True:
        picture, looked = _look(arguments, picture)
        vitals, last = confirm(last, looked), looked
        doubtful = any(one.verdict is Verdict.TROUBLE and one not in vitals for one in looked)
        new = [one for one in vitals if told.get(one.signs.device) is not one.verdict]
        if new and not doubtful:
            _tell(arguments, new)
            told |= {one.signs.device: one.verdict for one in new}
            pause = 0.0
        gone = told.keys() - {one.signs.device for one in vitals}
        for device in gone:
            output.note(f"note: {device} is held no more")
            del told[device]
        settled = vitals and all(one.verdict in SETTLED for one in vitals) and not doubtful
        pause = AGAIN if doubtful else next_pause(pause)
        left = None if end is None else end - time.monotonic()
        if settled:
            return _ending(vitals)
        if left is not None and left <= 0:
            # What waits for an arrival must not take this for one.
            return _ending(vitals) or ExitCode.FINDINGS
        time.sleep(pause if left is None else min(pause, left))


def _tell(arguments: argparse.Namespace, vitals: Sequence[Vital]) -> None:
    if arguments.output in {"json", "jsonl", "yaml"}:
        write_lines(map(_document, vitals))
    else:
        screen = Screen.of(arguments.color)
        for vital in vitals:
            who = dash(_guest(vital))
            verdict = Cell(f"{vital.verdict:<8}", TONES[vital.verdict])
            screen.line(time.strftime("%H:%M:%S  "), f"{vital.signs.device}  {who}  ", verdict, f"  {vital.why}")
            _print_findings(screen, vital)
    output.flush()


def _show(arguments: argparse.Namespace, source: str, vitals: Sequence[Vital]) -> None:
    form = arguments.output
    if form in {"json", "yaml"}:
        emit(document("Vitals", source=source, items=list(map(_document, vitals))), form)
        return
    if form == "jsonl":
        write_lines(map(_document, vitals))
        return
    rows = LISTING.sorted(vitals, arguments.sort)
    if rows or form == "csv":
        LISTING.write(arguments, rows)
    screen = Screen.of(arguments.color)
    if form == "csv":
        return
    if not rows:
        screen.line("no VM is seen to hold a device")
    for vital in rows:
        _print_findings(screen, vital)
    if form == "wide":
        _print_evidence(screen, rows)
    for text, devices in _unseen(rows).items():
        output.note(f"note: {listed(devices, MOST)}: not seen: {text}")


def _print_findings(screen: Screen, vital: Vital) -> None:
    for found in vital.findings:
        for row in findings.finding_rows(found._replace(message=f"{found.subject} {found.message}"), evidence=True):
            screen.line(*row)


def _print_evidence(screen: Screen, vitals: Sequence[Vital]) -> None:
    for vital in vitals:
        screen.line(Cell(str(vital.signs.device), Tone.STRONG))
        for seen in vital.evidence:
            screen.line(Cell(f"  {seen.file}: {seen.content}", Tone.FAINT))
        if vital.fine:
            screen.line(f"  {vital.fine}")


def _unseen(vitals: Sequence[Vital]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for vital in vitals:
        for text in vital.unknown:
            found.setdefault(text, []).append(str(vital.signs.device))
    return found


def _holder(vital: Vital) -> Claim | None:
    """The best source that names a process, or any."""
    claims = vital.signs.held.claims
    return next((claim for claim in claims if claim.pid), claims[0] if claims else None)


def _guest(vital: Vital) -> str:
    """The VM, by whatever names it."""
    if vital.signs.guest is not None:
        return vital.signs.guest.domain
    names = [claim.guest or claim.holder for claim in vital.signs.held.claims]
    return next(filter(None, names), "")


def _why(vital: Vital) -> str:
    return f"{vital.why} ({vital.fine})" if vital.fine else vital.why


def _age(vital: Vital) -> str:
    age = vital.signs.age
    return "-" if age is None or not vital.signs.held.claims else f"{age:.0f} s"


def _interrupts(vital: Vital) -> str:
    vectors = vital.signs.vectors
    return "-" if vectors is None else str(vectors.messages or sum(vectors.allocated.values()))


FIELDS: tuple[Field[Vital], ...] = (
    Field("DEVICE", "address or UUID", lambda row: str(row.signs.device)),
    Field("VERDICT", "what became of it", lambda row: Cell(row.verdict, TONES[row.verdict])),
    Field("VM", "the domain or pod", lambda row: dash(_guest(row)), spare=1),
    Field("PID", "the process", lambda row: dash((claim := _holder(row)) and claim.pid), spare=2),
    Field("OPEN", "for how long", _age, order=lambda row: row.signs.age or 0.0),
    Field("POWER", "the power state", lambda row: dash(row.signs.health.power), spare=3),
    Field("SEEN", "what the verdict rests on", _why, Fit.WRAP),
    Field("INTERRUPTS", "how many a driver in the guest has set up", _interrupts),
    Field("BOOT", "how long a boot of this kind takes", lambda row: row.signs.boot.name),
    Field("GUEST", "its guest address, with --connect", lambda row: dash(row.signs.guest and row.signs.guest.plan)),
)
_NAMES = tuple(field.name for field in FIELDS)
LISTING = Listing(FIELDS, _NAMES[:7], _NAMES)


def _document(vital: Vital) -> Document:
    signs, health = vital.signs, vital.signs.health
    holder = _holder(vital)
    return {
        "device": str(signs.device),
        "verdict": str(vital.verdict),
        "why": vital.why,
        "fine": vital.fine or None,
        "held": None
        if holder is None
        else {
            "by": str(holder.how),
            "process": holder.who if holder.pid else None,
            "pid": holder.pid,
            "vm": _guest(vital) or None,
            "pod": holder.holder,
            "seconds": None if signs.age is None else round(signs.age, 1),
        },
        "boot": {"class": signs.boot.name, "seconds": signs.boot.seconds, "why": signs.boot.why},
        "driver": signs.function.driver if signs.function else None,
        "group": signs.function.group if signs.function and not signs.mediated else None,
        "enable": health.enabled,
        "powerState": health.power,
        "runtimeStatus": health.runtime,
        "interrupts": None if signs.vectors is None else dict(sorted(signs.vectors.kinds.items())),
        "allocatedInterrupts": None if signs.vectors is None else dict(sorted(signs.vectors.allocated.items())),
        "errors": None if health.errors is None else dict(health.errors),
        "guest": None if signs.guest is None else _guest_document(signs.guest),
        "evidence": [seen._asdict() for seen in vital.evidence],
        "unknown": list(vital.unknown),
        "findings": [finding.as_dict() for finding in vital.findings],
    }


def _guest_document(guest: GuestView) -> Document:
    qemu = guest.qemu
    return {
        "domain": guest.domain,
        "state": guest.state,
        "reason": guest.reason or None,
        "alias": guest.alias or None,
        "planned": guest.plan or None,
        "path": None if guest.path is None else list(guest.path),
        "qemu": None
        if qemu is None
        else {
            "address": qemu.address or None,
            "path": None if qemu.path is None else list(qemu.path),
            "placed": qemu.placed,
            "bars": [
                {
                    "index": bar.register,
                    "size": bar.size,
                    "address": None if bar.address is None else f"{bar.address:#x}",
                }
                for bar in qemu.bars
            ],
        },
    }


def _ending(vitals: Sequence[Vital]) -> ExitCode:
    """Trouble is a finding; what could not be told is no success either."""
    verdicts = {vital.verdict for vital in vitals}
    if Verdict.TROUBLE in verdicts:
        return ExitCode.FINDINGS
    return ExitCode.HOST_UNREADABLE if Verdict.UNKNOWN in verdicts else ExitCode.DONE
