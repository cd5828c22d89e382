"""What `passgate fit` prints: a table, a document, or a picture."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from hostdev.fit.fit import Fit, PlacedBar, PlacedFunction, Window
from hostdev.fit.solution import Outcome
from hostdev.inventory.bars import BarKind, size_text
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Tone, dash
from hostdev.printing.cells import Fit as Room
from hostdev.printing.documents import document, emit
from hostdev.printing.findings import finding_rows
from hostdev.printing.screen import Screen

OUTCOMES = {
    Outcome.FITS: "every device gets its addresses",
    Outcome.DEVICES_MISSING: "some devices get no address",
    Outcome.NO_PCI: "the guest loses all of PCI",
    Outcome.NOT_STARTED: "QEMU does not start",
    Outcome.OUT_OF_REACH: "devices are placed where nothing reaches them",
    Outcome.DEPENDS: "it depends on what is not known here",
}
_TONES = {Outcome.FITS: Tone.GOOD, Outcome.DEPENDS: Tone.WARN}
WINDOWS = {"io": "I/O", "mem32": "32 bit", "mem64": "64 bit"}
_KINDS = {
    BarKind.IO: "I/O",
    BarKind.MEM32: "32 bit",
    BarKind.PREF32: "32 bit pref.",
    BarKind.MEM64: "64 bit",
    BarKind.PREF64: "64 bit pref.",
}
_WINDOW_COLUMNS = (Column("WINDOW"), Column("FROM"), Column("TO"), Column("SIZE"))
_COLUMNS = (
    *(Column("GUEST"), Column("DEVICE", Room.CUT), Column("HOST")),
    *(Column("BAR"), Column("SIZE"), Column("KIND"), Column("ADDRESS")),
)


_STATES: dict[bool | None, Cell] = {
    True: Cell("-"),
    False: Cell("none", Tone.BAD),
    None: Cell("unknown", Tone.WARN),
}


def show(arguments: argparse.Namespace, name: str, found: Fit) -> None:
    """Print it in the form that is asked for."""
    if arguments.output in {"json", "yaml"}:
        emit(document("Fit", domain=name, **found.as_dict()), arguments.output)
    elif arguments.output == "svg":
        from hostdev.cli.drawing.windows import draw_windows  # noqa: PLC0415  only for a picture

        output.write(draw_windows(name, found))
    else:
        _show(Screen.of(arguments.color), name, found, wide=arguments.output == "wide")


def _show(screen: Screen, name: str, found: Fit, *, wide: bool) -> None:
    tone = _TONES.get(found.outcome, Tone.BAD)
    screen.line(Cell(name, Tone.STRONG), "  ", Cell(OUTCOMES[found.outcome], tone))
    if found.windows:
        screen.line()
        screen.table(_WINDOW_COLUMNS, [_window(one) for one in found.windows])
    shown = found.functions if wide else noteworthy(found)
    rows = [row for one in shown for row in _rows(one)]
    if rows:
        screen.line()
        screen.table(_COLUMNS, rows)
    others = len(found.functions) - len(shown)
    if others:
        screen.line(Cell(f"{others} emulated devices, all with their addresses; -o wide lists them", Tone.FAINT))
    for dependency in found.depends:
        screen.line()
        screen.line(f"depends on {dependency.on}{':' if dependency.cases else ''}")
        for case in dependency.cases:
            case_tone = _TONES.get(case.outcome, Tone.BAD)
            screen.line(f"  {case.when}: ", Cell(case_text(case.outcome), case_tone))
    for finding in found.findings:
        screen.line()
        for row in finding_rows(finding):
            screen.line(*row)


def noteworthy(found: Fit) -> list[PlacedFunction]:
    """The host's devices, and emulated ones that are not placed for sure."""
    return [one for one in found.functions if one.source or one.placed is not True]


def case_text(outcome: Outcome) -> str:
    """What comes of one case."""
    return "it depends on the rest" if outcome is Outcome.DEPENDS else OUTCOMES[outcome]


def _window(window: Window) -> tuple[Cell | str, ...]:
    if window.base is None or window.size is None:
        size = "depends" if window.size is None else size_text(window.size)
        return (WINDOWS[window.kind], "depends", "depends", size)
    return (
        WINDOWS[window.kind],
        f"{window.base:#x}",
        f"{window.base + window.size - 1:#x}",
        size_text(window.size),
    )


def _rows(function: PlacedFunction) -> Iterator[tuple[Cell | str, ...]]:
    """A line for each BAR, the first with the names."""
    names: tuple[Cell | str, ...] = (dash(function.guest), function.device, dash(function.source))
    if not function.bars:
        yield (*names, "-", "-", "-", _STATES[function.placed])
    for bar in function.bars:
        yield (*names, str(bar.bar.index), size_text(bar.bar.size), _KINDS[bar.bar.kind], _address(function, bar))
        names = ("", "", "")


def _address(function: PlacedFunction, bar: PlacedBar) -> Cell | str:
    if bar.address is not None:
        return f"{bar.address:#x}"
    return Cell("none", Tone.BAD) if function.placed is False else Cell("depends", Tone.WARN)
