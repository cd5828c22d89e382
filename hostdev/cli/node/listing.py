"""`passgate node list`: PCI functions and whether they can be passed through, by default on one screen."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from domxml.errors import ExitCode
from hostdev.cli import devices, documents
from hostdev.cli.devices import Device
from hostdev.cli.selection import choose, read_words
from hostdev.inventory import pciids
from hostdev.inventory.bars import BarKind, size_text
from hostdev.inventory.functions import DEVICES as FUNCTIONS
from hostdev.inventory.machine import Machine
from hostdev.inventory.pciclasses import board_part, may_be_board_part
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.printing import findings, output
from hostdev.printing.cells import Cell, Fit, Tone, dash
from hostdev.printing.documents import emit
from hostdev.printing.fields import Field, Listing, check_form, write_lines
from hostdev.printing.screen import Screen

BRIDGES, PARTS, MAYBE = "bridges", "parts of the board", "functions that may be parts of the board"
_ONE = {BRIDGES: "bridge", PARTS: "part of the board", MAYBE: "function that may be a part of the board"}
ALIKE = 3
"""So many VFs that are alike become one row."""

Alike = tuple[Device, ...]
"""One device, or VFs of one PF that have the same driver and the same verdict."""


def run(arguments: argparse.Namespace) -> int:
    """List the devices that are meant, or all."""
    if not check_form(LISTING, arguments):
        return ExitCode.DONE
    machine = devices.machine_at(arguments.host, bars=_shows_bars(arguments))
    names = pciids.namer(arguments.pci_ids, live=arguments.host == devices.LIVE)
    shown, named = choose(machine, names, read_words(arguments.address, arguments), arguments.despite)
    if arguments.output in {"table", "wide"}:
        _print(arguments, shown, whole=bool(named) or arguments.all)
        if not machine.functions:
            output.note(f"note: there are no PCI functions on {machine.source}: its {FUNCTIONS} is empty or not there")
    else:
        _write(arguments, machine, [device for (device,) in LISTING.sorted([(one,) for one in shown], arguments.sort)])
    devices.note_unread(machine)
    return findings.exit_code((found for device in shown for found in device.verdict.findings), arguments.fail_on)


def _shows_bars(arguments: argparse.Namespace) -> bool:
    """Whether somewhere in the answer stands what costs a file more of each device."""
    if arguments.output not in {"table", "wide", "csv"}:
        return bool(arguments.output != "name")
    return _BARS in LISTING.chosen(arguments.columns, arguments.output) or _BARS.name in str(arguments.sort)


def _write(arguments: argparse.Namespace, machine: Machine, shown: Sequence[Device]) -> None:
    """One line, or one item, for each function."""
    if arguments.output == "name":
        output.write("".join(f"{device.function.address}\n" for device in shown))
    elif arguments.output == "csv":
        LISTING.write(arguments, [(device,) for device in shown])
    elif arguments.output == "jsonl":
        write_lines(map(documents.device, shown))
    else:
        emit(documents.device_list(machine, shown), arguments.output)


def _print(arguments: argparse.Namespace, shown: Sequence[Device], *, whole: bool) -> None:
    rows, left_out = _fold(shown)
    # Where nothing else is meant, bridges and parts of the board are.
    if whole or not rows:
        rows, left_out = [(device,) for device in shown], Counter[str]()
    LISTING.write(arguments, LISTING.sorted(rows, arguments.sort))
    if left_out and not arguments.no_headers:
        Screen.of(arguments.color).line(Cell(_summary(left_out), Tone.FAINT))


def _faint(text: Callable[[Alike], str]) -> Callable[[Alike], Cell]:
    """A cell that stands back where no guest could have the device."""
    return lambda alike: Cell(text(alike), Tone.FAINT if alike[0].function.bridge else Tone.PLAIN)


def _address(alike: Alike) -> str:
    address = str(alike[0].function.address)
    return f"{address} +{len(alike) - 1}" if len(alike) > 1 else address


def _role(alike: Alike) -> str:
    return f"{len(alike)} vfs" if len(alike) > 1 else str(alike[0].function.role)


def _vfs(alike: Alike) -> str:
    function = alike[0].function
    return f"{function.num_vfs or 0}/{function.total_vfs}" if function.total_vfs else "-"


def _reset(alike: Alike) -> str:
    methods = alike[0].function.reset_methods
    return "?" if methods is None else ",".join(methods) or "none"


def _pf(alike: Alike) -> str:
    physfn = alike[0].function.physfn
    return "-" if physfn is None else str(physfn)


def _sizes(alike: Alike) -> str:
    bars = alike[0].function.bars
    if bars is None:
        return "?"
    return dash(", ".join("I/O" if bar.kind is BarKind.IO else size_text(bar.size) for bar in bars.own))


_BARS: Field[Alike] = Field("BARS", "the sizes of its BARs, in their order", _sizes, Fit.CUT)
FIELDS: tuple[Field[Alike], ...] = (
    Field(
        "ADDRESS", "where it is; +N counts VFs that are alike", _faint(_address), order=lambda a: a[0].function.address
    ),
    Field("CLASS", "what it is", _faint(lambda a: a[0].class_name), spare=3),
    Field(
        "NAME", "vendor and device, by number where no name is known", _faint(lambda a: a[0].title), Fit.CUT, spare=1
    ),
    Field("DRIVER", "the driver it is bound to", _faint(lambda a: dash(a[0].function.driver))),
    Field("GROUP", "its IOMMU group", _faint(lambda a: _of_all(dash(d.function.group) for d in a)), spare=2),
    Field("NUMA", "its NUMA node", _faint(lambda a: dash(a[0].function.numa_node)), spare=4),
    Field("ROLE", "its part in SR-IOV", _faint(_role), spare=5),
    Field("PASSTHROUGH", "whether a VM can have it, or why not", lambda a: a[0].answer, Fit.WRAP, least=22),
    Field("IDS", "vendor and device as numbers", lambda a: pciids.ids(a[0].function)),
    Field("VFS", "VFs there are, and how many there can be", _vfs),
    Field("RESET", "the ways to reset it, the first one first", _reset),
    Field(
        "HAS",
        "its interfaces and disks, and what they are used for",
        lambda a: dash(_of_all("; ".join(d.users) for d in a)),
        Fit.CUT,
    ),
    _BARS,
    Field("REASONS", "the codes of all that stands in the way", lambda a: dash(" ".join(a[0].reasons))),
    Field("USE", "whether the host uses it", lambda a: _of_all(str(d.function.use.value) for d in a)),
    Field("PF", "the PF of a VF", _pf),
    Field("OVERRIDE", "the driver that is allowed to take it", lambda a: dash(a[0].function.driver_override)),
)
LISTING = Listing(FIELDS, tuple(f.name for f in FIELDS[:8]), tuple(f.name for f in FIELDS[:13]))


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
