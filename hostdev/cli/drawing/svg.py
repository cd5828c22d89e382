"""The PCI tree as SVG: a column for each NUMA node, a card for each host bridge, colours by group, driver or node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, sqrt

from hostdev.cli.devices import Device
from hostdev.cli.drawing.canvas import FAINT, LINE, Box, Canvas, Font, fitted
from hostdev.cli.drawing.forest import Knot, Root
from hostdev.cli.drawing.palette import NEUTRAL, tint
from hostdev.cli.drawing.scene import Scene

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
        canvas.text(MARGIN, 44, fitted(scene.title, width - 2 * MARGIN, 22), Font(22, bold=True))
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
        name = fitted(device.title, end - box.x - 120, 11)
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
        canvas.text(x + 32, y + 37, fitted(device.title, box.width - 42, 12), Font())

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
