"""The picture as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape
from math import ceil, sqrt

from domxml.text import visible
from hostdev.cli.devices import Device
from hostdev.cli.drawing.scene import GOOD, NEUTRAL, Knot, Root, Scene, tint

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


def fit_text(text: str, width: float, size: float) -> str:
    """The text, cut to fit; no font can be measured here, so letters are taken as wide."""
    room = int(width / (size * 0.57))
    return text if len(text) <= room else text[: max(room - 1, 1)].rstrip() + "…"


def _safe(text: str) -> str:
    return escape(visible(text))


MARGIN, GAP = 28.0, 22.0
COLUMN = 540
STEP = 24
"""How far a bus is indented below its bridge."""
FLAT, TALL, SPACE = 26, 46, 7
"""Heights: of a bridge, of a device, and between them."""
CHIP_WIDTH, CHIP, CHIP_SPACE = 96, 22, 5
CARD_HEAD, CARD_PAD = 30, 12
TOP = 112
"""Where the columns begin."""
HIGH = 900
"""A NUMA node that needs more height than this gets another column."""
WIDE = 1.5
"""A large machine's picture grows in both directions: so many times as wide as high."""

Column = tuple[int | None, list[Root]]


def draw(scene: Scene) -> str:
    """The SVG document."""
    return _Picture(scene).draw()


class _Picture:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._canvas = Canvas()

    def draw(self) -> str:
        canvas, scene = self._canvas, self._scene
        columns = list(self._columns())
        width = max(2 * MARGIN + len(columns) * (COLUMN + GAP) - GAP, 700)
        canvas.text(MARGIN, 44, fit_text(scene.title, width - 2 * MARGIN, 22), Font(22, bold=True))
        canvas.text(MARGIN, 66, scene.facts, Font(13, FAINT))
        top = TOP if any(scene.node_title(node) for node, _ in columns) else TOP - 26
        bottom = float(top)
        for index, (node, roots) in enumerate(columns):
            left = MARGIN + index * (COLUMN + GAP)
            if index == 0 or columns[index - 1][0] != node:
                canvas.text(left, top - 12, scene.node_title(node), Font(15, bold=True))
            y = float(top)
            for root in roots:
                self._card(root, left, y)
                y += self._card_height(root) + GAP
            bottom = max(bottom, y)
        height = self._legend(bottom + 14, width)
        return canvas.document(width, height, scene.title)

    def _columns(self) -> Iterator[Column]:
        """The host bridges of each NUMA node, in as many columns as they need."""
        everything = sum(map(self._card_height, self._scene.roots))
        high = max(HIGH, sqrt(everything * (COLUMN + GAP) / WIDE))
        nodes = {root.numa for root in self._scene.roots}
        for node in sorted(nodes, key=lambda node: (node is None, node)):
            roots = [root for root in self._scene.roots if root.numa == node]
            total = sum(map(self._card_height, roots))
            yield from ((node, part) for part in self._shared_out(roots, total / ceil(total / high)))

    def _shared_out(self, roots: Sequence[Root], share: float) -> Iterator[list[Root]]:
        """Columns of about one height; a card that is too high goes on in the next."""
        column: list[Root] = []
        height = 0.0
        for root in roots:
            name, piece = root.name, list[Knot]()
            for knot in root.knots:
                if height >= share:
                    yield [*column, replace(root, name=name, knots=tuple(piece))] if piece else column
                    name = f"{root.name} (continued)" if piece else name
                    column, piece, height = [], [], 0.0
                piece.append(knot)
                height += self._height(knot, 0)
            column.append(replace(root, name=name, knots=tuple(piece)))
            height += CARD_HEAD + CARD_PAD
        yield column

    def _card_height(self, root: Root) -> float:
        return CARD_HEAD + CARD_PAD - SPACE + sum(self._height(knot, 0) for knot in root.knots)

    def _height(self, knot: Knot, depth: int) -> float:
        below = sum(self._height(child, depth + 1) for child in knot.below)
        return self._own_height(knot) + SPACE + self._chips_height(knot, depth) + below

    def _own_height(self, knot: Knot) -> float:
        return FLAT if self._scene.is_flat(knot.address) else TALL

    def _chips_height(self, knot: Knot, depth: int) -> float:
        rows = ceil(len(knot.vfs) / _chips_in_a_row(depth))
        return rows * (CHIP + CHIP_SPACE) + (SPACE if rows else 0)

    def _card(self, root: Root, x: float, y: float) -> None:
        self._canvas.box(Box(x, y, COLUMN, self._card_height(root)), stroke="#dde3ea", radius=10)
        self._canvas.text(x + CARD_PAD, y + 20, root.name, Font(12, FAINT, mono=True))
        below = y + CARD_HEAD
        for knot in root.knots:
            below = self._knot(knot, x + CARD_PAD, below, 0)

    def _knot(self, knot: Knot, x: float, y: float, depth: int) -> float:
        """Draw a function and all below it; tells where it ends."""
        device = self._scene.devices[knot.address]
        box = Box(x, y, COLUMN - 2 * CARD_PAD - depth * STEP, self._own_height(knot))
        with self._canvas.hover(self._scene.hover(device)):
            (self._bridge if self._scene.is_flat(knot.address) else self._endpoint)(device, box)
        y += box.height + SPACE
        self._chips(knot, x + STEP, y, depth)
        y += self._chips_height(knot, depth)
        top = y - SPACE
        for child in knot.below:
            middle = y + self._own_height(child) / 2
            self._canvas.path(f"M{x + 11:g} {top:g}V{middle:g}H{x + STEP:g}")
            y = self._knot(child, x + STEP, y, depth + 1)
        return y

    def _bridge(self, device: Device, box: Box) -> None:
        self._canvas.box(box, fill="#f1f3f5", stroke=LINE)
        self._canvas.text(box.x + 10, box.y + 17.5, str(device.function.address), Font(mono=True))
        end = self._pills(device, box.x + box.width - 8, box.y + 4)
        name = fit_text(device.title, end - box.x - 120, 11)
        self._canvas.text(box.x + 112, box.y + 17.5, name, Font(11, FAINT))

    def _endpoint(self, device: Device, box: Box) -> None:
        canvas, x, y = self._canvas, box.x, box.y
        color = self._scene.color(device.function.address)
        canvas.box(box, fill=tint(color), stroke=color)
        canvas.box(Box(x, y, 6, box.height), fill=color, radius=3)
        canvas.sign(x + 19, y + 15, passes=device.passes)
        canvas.text(x + 32, y + 19.5, str(device.function.address), Font(13, bold=True, mono=True))
        canvas.text(x + 146, y + 19.5, device.class_name, Font(fill=FAINT))
        self._pills(device, x + box.width - 8, y + 6)
        canvas.text(x + 32, y + 37, fit_text(device.title, box.width - 42, 12), Font())

    def _pills(self, device: Device, right: float, y: float) -> float:
        """Group, VFs and driver; the one the colours tell is filled. Tells where they begin."""
        function, by = device.function, self._scene.by
        color = self._scene.color(function.address)
        group = "no group" if function.group is None else f"group {function.group}"
        labels = [(group, color, by == "group")]
        if function.num_vfs:
            labels.append((f"{function.num_vfs} of {function.total_vfs} VFs", NEUTRAL, False))
        if function.driver is not None or not function.bridge:
            labels.append((function.driver or "no driver", color if by == "driver" else NEUTRAL, by == "driver"))
        for text, stroke, solid in labels:
            right = self._canvas.pill(right, y, text, stroke, solid=solid) - 5
        return right

    def _chips(self, knot: Knot, left: float, top: float, depth: int) -> None:
        """The VFs of a function, small."""
        row = _chips_in_a_row(depth)
        for index, address in enumerate(knot.vfs):
            x = left + index % row * (CHIP_WIDTH + CHIP_SPACE)
            y = top + index // row * (CHIP + CHIP_SPACE)
            device, color = self._scene.devices[address], self._scene.color(address)
            with self._canvas.hover(self._scene.hover(device)):
                self._canvas.box(Box(x, y, CHIP_WIDTH, CHIP), fill=tint(color), stroke=color, radius=5)
                self._canvas.sign(x + 13, y + CHIP / 2, passes=device.passes)
                self._canvas.text(x + 26, y + 15, str(address).partition(":")[2], Font(11.5, mono=True))

    def _legend(self, y: float, width: float) -> float:
        """What colours and signs mean; tells where the picture ends."""
        canvas = self._canvas
        canvas.path(f"M{MARGIN} {y:g}H{width - MARGIN:g}")
        y += 26
        for x, passes, text in ((MARGIN, True, "can be passed through"), (MARGIN + 180, False, "cannot, as it is now")):
            canvas.sign(x + 8, y - 4, passes=passes)
            canvas.text(x + 22, y, text, Font())
        y += 26
        x = MARGIN
        for kind, count in self._scene.legend():
            label = f"{kind} ({count})"
            step = 34 + 7.2 * len(label)
            if x + step > width - MARGIN:
                x, y = MARGIN, y + 24
            color = self._scene.colors[kind]
            canvas.box(Box(x, y - 12, 16, 16), fill=tint(color, 0.45), stroke=color, radius=4)
            canvas.text(x + 23, y + 1, label, Font())
            x += step
        return y + MARGIN


def _chips_in_a_row(depth: int) -> int:
    room = COLUMN - 2 * CARD_PAD - (depth + 1) * STEP
    return max(int(room // (CHIP_WIDTH + CHIP_SPACE)), 1)
