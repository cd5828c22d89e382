"""The PCI tree as text, and as DOT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from domxml.pciaddress import PciAddress
from domxml.text import visible
from hostdev.cli.drawing.scene import Knot, Root, Scene, tint
from hostdev.printing.cells import Branch, Cell, Row, Tone

FEW = 3
"""More VFs than this, all alike, share a line."""


def branches(scene: Scene) -> list[Branch]:
    """A tree for each host bridge."""
    return [Branch(_title(scene, root), tuple(_branch(scene, knot) for knot in root.knots)) for root in scene.roots]


def _title(scene: Scene, root: Root) -> Row:
    node = scene.node_title(root.numa)
    return (Cell(root.name, Tone.STRONG), Cell(f"  {node}" if node else "", Tone.FAINT))


def _branch(scene: Scene, knot: Knot) -> Branch:
    below = tuple(_branch(scene, child) for child in knot.below)
    return Branch(_label(scene, knot.address), (*_vfs(scene, knot.vfs), *below))


def _label(scene: Scene, address: PciAddress) -> Row:
    """Address, class, driver, group, verdict; the name comes last, a narrow terminal cuts it off."""
    device = scene.devices[address]
    function = device.function
    color = scene.color(address)
    flat = scene.is_flat(address)
    parts: list[Cell | str] = [Cell(str(address), color=color), f"  {device.class_name}  "]
    parts.append(Cell(f"[{function.driver or 'no driver'}]", color=color if scene.by == "driver" else ""))
    if function.group is not None:
        parts += ["  ", Cell(f"group {function.group}", color=color if scene.by == "group" else "")]
    if not flat:
        parts += ["  ", device.answer]
    return (*parts, Cell(f"  {device.title}", Tone.FAINT if flat else Tone.PLAIN))


def _vfs(scene: Scene, vfs: Sequence[PciAddress]) -> Iterator[Branch]:
    """VFs one by one, or in one line where a driver has many with one verdict."""
    devices = [scene.devices[vf] for vf in vfs]
    for (driver, answer), same in groupby(devices, key=lambda device: (device.function.driver, device.answer)):
        run = [device.function.address for device in same]
        if len(run) <= FEW:
            yield from (Branch(_label(scene, vf)) for vf in run)
            continue
        groups = [scene.devices[vf].function.group for vf in run]
        shown = "" if None in groups else f"  groups {groups[0]} to {groups[-1]}"
        color = scene.color(run[0])
        yield Branch(
            (
                Cell(f"{run[0]} to {run[-1]}", color=color),
                f"  {len(run)} VFs  [{driver or 'no driver'}]{shown}  ",
                answer,
            )
        )


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
    escaped = "\\n".join(visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n"))
    return f'"{escaped}"'
