"""The few shapes an SVG picture is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape

from hostdev.cli.cells import printable
from hostdev.cli.drawing.palette import GOOD

SANS = "Inter, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', Helvetica, Arial, sans-serif"
MONO = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
INK, FAINT, LINE, PAPER, GROUND = "#1f2933", "#6b7785", "#c5ced8", "#ffffff", "#f4f6f9"
BAD = "#c92a2a"


@dataclass(frozen=True, slots=True)
class Box:
    """A place on the canvas."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Font:
    """How a text looks."""

    size: float = 12
    fill: str = INK
    bold: bool = False
    mono: bool = False
    middle: bool = False
    """Whether the text is centred on its place."""


class Canvas:
    """Collects shapes and turns them into a document."""

    def __init__(self) -> None:
        self._shapes: list[str] = []

    def document(self, width: float, height: float, title: str) -> str:
        """The whole picture as an SVG text."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" font-family="{SANS}">\n'
            f"<title>{_safe(title)}</title>\n"
            f'<rect width="{width:g}" height="{height:g}" fill="{GROUND}"/>\n'
        )
        return head + "\n".join(self._shapes) + "\n</svg>\n"

    def box(self, box: Box, *, fill: str = PAPER, stroke: str = "none", radius: float = 6) -> None:
        """A rectangle with round corners."""
        self._shapes.append(
            f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius:g}" '
            f'fill="{fill}" stroke="{stroke}"/>'
        )

    def text(self, x: float, y: float, text: str, font: Font) -> None:
        """A line of text on its base line."""
        extra = "".join(
            f' {name}="{value}"'
            for name, value, wanted in (
                ("font-weight", "600", font.bold),
                ("font-family", MONO, font.mono),
                ("text-anchor", "middle", font.middle),
            )
            if wanted
        )
        self._shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{font.size:g}" fill="{font.fill}"{extra}>{_safe(text)}</text>'
        )

    def path(self, data: str, *, stroke: str = LINE, width: float = 1.4) -> None:
        """An open line."""
        self._shapes.append(f'<path d="{data}" fill="none" stroke="{stroke}" stroke-width="{width:g}"/>')

    def sign(self, x: float, y: float, *, passes: bool) -> None:
        """The verdict: a filled green tick, or a red cross in a ring; told apart without colour too."""
        if passes:
            self._shapes.append(f'<circle cx="{x:g}" cy="{y:g}" r="6.5" fill="{GOOD}"/>')
            self.path(f"M{x - 3:g} {y + 0.2:g}l2 2.3l4 -4.6", stroke=PAPER, width=1.7)
        else:
            self._shapes.append(f'<circle cx="{x:g}" cy="{y:g}" r="6.5" fill="{PAPER}" stroke="{BAD}"/>')
            self.path(f"M{x - 2.4:g} {y - 2.4:g}l4.8 4.8m0 -4.8l-4.8 4.8", stroke=BAD, width=1.5)

    def pill(self, right: float, y: float, text: str, color: str, *, solid: bool = False) -> float:
        """A small label that ends at `right`; tells where it begins."""
        width = 7 * len(text) + 14
        left = right - width
        self.box(Box(left, y, width, 18), fill=color if solid else PAPER, stroke=color, radius=9)
        fill = PAPER if solid else INK
        self.text(left + width / 2, y + 12.8, text, Font(11, fill, mono=True, middle=True))
        return left

    @contextmanager
    def hover(self, text: str) -> Iterator[None]:
        """What is drawn inside shows this text under the pointer."""
        self._shapes.append(f"<g><title>{_safe(text)}</title>")
        yield
        self._shapes.append("</g>")


def fitted(text: str, width: float, size: float) -> str:
    """The text, cut to fit; no font can be measured here, so letters are taken as wide."""
    room = int(width / (size * 0.57))
    return text if len(text) <= room else text[: max(room - 1, 1)].rstrip() + "…"


def _safe(text: str) -> str:
    return escape(printable(text))
