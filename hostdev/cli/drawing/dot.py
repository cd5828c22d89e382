"""The PCI tree as DOT, for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from hostdev.cli.cells import printable
from hostdev.cli.drawing.forest import Knot, Root
from hostdev.cli.drawing.palette import tint
from hostdev.cli.drawing.scene import Scene


def draw(scene: Scene) -> str:
    """The DOT document."""
    title = _quoted(f"{scene.title}\n{scene.facts}")
    lines = [
        "digraph pci {",
        f"  label={title} labelloc=t rankdir=LR;",
        '  node [shape=box style="rounded,filled" fontname="sans-serif" fontsize=10];',
        "  edge [arrowhead=none];",
        *(line for index, root in enumerate(scene.roots) for line in _cluster(scene, root, index)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _cluster(scene: Scene, root: Root, index: int) -> Iterator[str]:
    title = " ".join(part for part in (root.name, scene.node_title(root.numa)) if part)
    yield f"  subgraph cluster_{index} {{"
    yield f"    label={_quoted(title)} color=gray;"
    for knot in root.knots:
        yield from _knot(scene, knot)
    yield "  }"


def _knot(scene: Scene, knot: Knot) -> Iterator[str]:
    yield _node(scene, knot)
    for vf in knot.vfs:
        yield _node(scene, Knot(vf))
        yield f"    {_quoted(str(knot.address))} -> {_quoted(str(vf))} [style=dashed];"
    for child in knot.below:
        yield from _knot(scene, child)
        yield f"    {_quoted(str(knot.address))} -> {_quoted(str(child.address))};"


def _node(scene: Scene, knot: Knot) -> str:
    device = scene.devices[knot.address]
    function = device.function
    group = "no group" if function.group is None else f"group {function.group}"
    text = f"{knot.address} {device.class_name}\n{device.title}\n{function.driver or 'no driver'}, {group}"
    color = scene.color(knot.address)
    verdict = "" if scene.is_flat(knot.address) else f"\npassthrough: {device.answer.text}"
    look = f"label={_quoted(text + verdict)} color={_quoted(color)} fillcolor={_quoted(tint(color))}"
    return f"    {_quoted(str(knot.address))} [{look}];"


def _quoted(text: str) -> str:
    escaped = "\\n".join(printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n"))
    return f'"{escaped}"'
