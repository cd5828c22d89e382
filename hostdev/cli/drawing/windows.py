"""The guest's address windows with the BARs in them, as SVG: where each lies, how large it is, which got no place."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from hostdev.cli.drawing.scene import GOOD, HUES, NEUTRAL, tint
from hostdev.cli.drawing.svg import BAD, FAINT, GROUND, INK, LINE, Box, Canvas, Font, fit_text
from hostdev.cli.fitview import OUTCOMES, WINDOWS, case_text, noteworthy
from hostdev.fit.fit import Fit, PlacedBar, PlacedFunction, Window
from hostdev.fit.solution import Outcome
from hostdev.inventory.bars import BarKind, size_text

_MARGIN, _WIDTH = 24, 912
_STRIP, _STEP = 34, 92
_LEAST = 2.0
"""A BAR that would be thinner in its window is this wide."""
_NAMED = 52
"""One that is wider bears its size."""
_ROW, _GAP = 16, 8
_AXIS, _AXIS_END = 440, 740
_SMALLEST = 8
"""The logarithm of the size at which the axis begins."""
_TICKS = (12, 20, 30, 40)
_OF_WINDOW = {
    "io": frozenset({BarKind.IO}),
    "mem32": frozenset({BarKind.MEM32, BarKind.PREF32, BarKind.MEM64, BarKind.PREF64}),
    "mem64": frozenset({BarKind.MEM64, BarKind.PREF64}),
}
_ORDER = ("mem64", "mem32", "io")


def draw_windows(name: str, found: Fit) -> str:
    """The windows to scale, then a row for each device with its BARs by the logarithm of their sizes."""
    return _Picture(name, found).draw()


class _Picture:
    def __init__(self, name: str, found: Fit) -> None:
        self._name, self._found = name, found
        self._canvas = Canvas()
        hosts = [one for one in found.functions if one.source]
        self._colors = {id(one): HUES[index % len(HUES)] for index, one in enumerate(hosts)}
        self._shown = noteworthy(found)

    def draw(self) -> str:
        canvas, found = self._canvas, self._found
        title = f"{self._name}: {OUTCOMES[found.outcome]}"
        tone = GOOD if found.outcome is Outcome.FITS else INK if found.outcome is Outcome.DEPENDS else BAD
        canvas.text(_MARGIN, 34, fit_text(title, _WIDTH, 17), Font(17, tone, bold=True))
        y = 60.0
        for kind in _ORDER:
            for window in found.windows:
                if window.kind == kind and (window.size != 0):
                    self._window(window, y)
                    y += _STEP
        y = self._devices(y + 8)
        y = self._words(y + 10)
        return canvas.document(_WIDTH + 2 * _MARGIN, y + _MARGIN, title)

    def _window(self, window: Window, y: float) -> None:
        canvas = self._canvas
        label = f"{WINDOWS[window.kind]} window"
        if window.base is None or window.size is None:
            size = "" if window.size is None else f", {size_text(window.size)}"
            canvas.text(_MARGIN, y + 10, f"{label}{size}: where it lies depends on what is not known", Font(12, FAINT))
            canvas.box(Box(_MARGIN, y + 18, _WIDTH, _STRIP), fill=GROUND, stroke=LINE, radius=3)
            return
        span = f"{window.base:#x} to {window.base + window.size - 1:#x}"
        canvas.text(_MARGIN, y + 10, f"{label}, {size_text(window.size)}", Font(13, bold=True))
        canvas.text(_MARGIN + 200, y + 10, span, Font(11, FAINT, mono=True))
        canvas.box(Box(_MARGIN, y + 18, _WIDTH, _STRIP), stroke=LINE, radius=3)
        for function in self._found.functions:
            for bar in function.bars:
                self._placed(function, bar, window, y + 18)
        for quarter in range(5):
            x = _MARGIN + _WIDTH * quarter / 4
            canvas.path(f"M{x:g} {y + 18 + _STRIP:g}v4")
            where = min(max(x, _MARGIN + 12), _MARGIN + _WIDTH - 24)
            text = size_text(window.size * quarter // 4) if quarter else "0"
            canvas.text(where, y + 18 + _STRIP + 15, text, Font(9, FAINT, middle=True))

    def _placed(self, function: PlacedFunction, bar: PlacedBar, window: Window, y: float) -> None:
        """A BAR in its window; one that lies elsewhere has its address in its row."""
        assert window.base is not None  # noqa: S101
        assert window.size is not None  # noqa: S101
        if bar.address is None or bar.bar.kind not in _OF_WINDOW[window.kind]:
            return
        offset = bar.address - window.base
        if not 0 <= offset < window.size:
            return
        scale = _WIDTH / window.size
        width = min(max(bar.bar.size * scale, _LEAST), _WIDTH - offset * scale + _LEAST)
        color = self._color(function)
        with self._canvas.hover(f"{self._title(function)}\n{_bar_line(bar, lost=False)}"):
            box = Box(round(_MARGIN + offset * scale, 2), y, round(width, 2), _STRIP)
            self._canvas.box(box, fill=tint(color, 0.35), stroke=color, radius=1)
            if width >= _NAMED:
                middle = box.x + box.width / 2
                self._canvas.text(middle, y + _STRIP / 2 + 4, size_text(bar.bar.size), Font(10, middle=True))

    def _devices(self, y: float) -> float:
        """Rows by guest address, those without an address last; tells where they end."""
        canvas = self._canvas
        placed = [one for one in self._shown if one.placed is not False]
        lost = [one for one in self._shown if one.placed is False]
        canvas.text(_AXIS, y, "BARs, by the logarithm of their size", Font(11, FAINT))
        y += 22
        top = y
        for function in placed:
            y = self._device(function, y)
        if lost:
            canvas.text(_MARGIN, y + 10, "without any address", Font(13, BAD, bold=True))
            y += 24
            for function in lost:
                y = self._device(function, y)
        for tick in _TICKS:
            x = _scaled(1 << tick)
            canvas.text(x, top - 8, size_text(1 << tick), Font(9, FAINT, middle=True))
            canvas.path(f"M{x:g} {top - 4:g}V{y - _GAP:g}", width=0.5)
        others = len(self._found.functions) - len(self._shown)
        if others:
            text = f"{others} emulated device{'s' if others > 1 else ''}, grey in the windows"
            canvas.text(_MARGIN, y + 8, text, Font(11, FAINT))
            y += 20
        return y

    def _device(self, function: PlacedFunction, y: float) -> float:
        canvas, color = self._canvas, self._color(function)
        canvas.text(_MARGIN, y + 10, function.guest or "?", Font(11.5, mono=True))
        canvas.text(_MARGIN + 100, y + 10, fit_text(function.device, 190, 11), Font(11, color, bold=True))
        canvas.text(_MARGIN + 300, y + 10, function.source or "", Font(11, FAINT, mono=True))
        for bar in function.bars:
            end = _scaled(bar.bar.size)
            lost = function.placed is False
            fill = GROUND if bar.address is None else tint(color, 0.35)
            canvas.box(Box(_AXIS, y + 1, end - _AXIS, 11), fill=fill, stroke=BAD if lost else color, radius=2)
            canvas.text(_AXIS_END + 12, y + 10, _bar_line(bar, lost=lost), Font(10, BAD if lost else INK))
            y += _ROW
        if not function.bars:
            canvas.text(_AXIS, y + 10, "its BARs are not known", Font(11, FAINT))
            y += _ROW
        return y + _GAP

    def _words(self, y: float) -> float:
        """What it depends on, and what is wrong."""
        canvas = self._canvas
        for dependency in self._found.depends:
            canvas.text(_MARGIN, y, fit_text(f"depends on {dependency.on}", _WIDTH, 12), Font(12, bold=True))
            y += 17
            for case in dependency.cases:
                text = f"{case.when}: {case_text(case.outcome)}"
                canvas.text(_MARGIN + 16, y, fit_text(text, _WIDTH - 16, 12), Font(12))
                y += 17
        for finding in self._found.findings:
            for text, fill in ((f"{finding.severity}: {finding.message}", INK), (finding.hint, FAINT)):
                for line in _wrapped(text, 140):
                    canvas.text(_MARGIN, y, line, Font(11.5, fill))
                    y += 16
            y += 4
        return y

    def _color(self, function: PlacedFunction) -> str:
        return self._colors.get(id(function), NEUTRAL)

    def _title(self, function: PlacedFunction) -> str:
        return " ".join(filter(None, (function.guest, function.device, function.source)))


def _bar_line(bar: PlacedBar, *, lost: bool) -> str:
    """`1: 256 MiB at 0x…`."""
    where = f"at {bar.address:#x}" if bar.address is not None else "no address" if lost else "depends"
    return f"{bar.bar.index}: {size_text(bar.bar.size)} {where}"


def _scaled(size: int) -> float:
    """The end of a BAR on the axis."""
    share = (log2(max(size, 1)) - _SMALLEST) / (_TICKS[-1] - _SMALLEST)
    return round(_AXIS + max(0.02, min(share, 1.0)) * (_AXIS_END - _AXIS), 1)


def _wrapped(text: str, most: int) -> Sequence[str]:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > most:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line] if line else lines
