"""The guest's PCI tree as the guest will see it, as SVG: ports, what sits on them, and under which name."""

from __future__ import annotations

from hostdev.cli.drawing.scene import GOOD, HUES, NEUTRAL
from hostdev.cli.drawing.svg import BAD, FAINT, LINE, Box, Canvas, Font, fit_text
from hostdev.kubevirt.vmplan import Item, VmPlan

_MARGIN, _ROW, _TOP = 24, 30, 64
_LEFT, _MIDDLE, _WIDTH = 24, 210, 860
_KINDS = {"interface": HUES[1], "disk": HUES[2], "hostdev": HUES[3], "controller": NEUTRAL, "video": HUES[0]}


def draw_guest(plan: VmPlan) -> str:
    """A row for each bus: the root's devices first, then each port with the device on it."""
    canvas = Canvas()
    title = f"{plan.vm} on KubeVirt {plan.release.name}"
    canvas.text(_MARGIN, 32, title, Font(16, bold=True))
    canvas.text(_MARGIN, 50, "the guest's PCI tree, by address; what Passgate adds is green", Font(11, FAINT))
    devices = [item for item in plan.items if not item.is_port and item.guest is not None]
    ports = {int(item.model.rpartition(" ")[2]): item for item in plan.items if item.is_port}
    y = _TOP
    for item in devices:
        _row(canvas, y, item, ports)
        y += _ROW
    taken = {item.guest.bus for item in devices if item.guest is not None}
    free = sorted(index for index in ports if index and index not in taken)
    if free:
        text = f"{len(free)} ports without a device: {', '.join(f'{index:02x}' for index in free)}"
        canvas.text(_MIDDLE, y + 18, fit_text(text, _WIDTH - _MIDDLE, 12), Font(12, FAINT))
        y += _ROW
    for line in plan.unknown:
        canvas.text(_MARGIN, y + 18, fit_text(f"unknown: {line}", _WIDTH, 12), Font(12, BAD))
        y += _ROW - 8
    return canvas.document(_WIDTH + 2 * _MARGIN, y + _MARGIN, title)


def _row(canvas: Canvas, y: float, item: Item, ports: dict[int, Item]) -> None:
    assert item.guest is not None  # noqa: S101
    port = ports.get(item.guest.bus) if item.guest.bus else None
    color = GOOD if item.ours else _KINDS.get(item.element, NEUTRAL)
    if port is not None:
        canvas.box(Box(_LEFT, y, 150, 22), stroke=LINE, radius=5)
        where = "" if port.guest is None else f"{port.guest.slot:02x}.{port.guest.function:x} "
        canvas.text(_LEFT + 8, y + 15, f"{where}{port.model.partition(' ')[0]}", Font(11, FAINT, mono=True))
        canvas.path(f"M{_LEFT + 150:g} {y + 11:g}H{_MIDDLE:g}")
    else:
        canvas.text(_LEFT + 8, y + 15, "on the root bus", Font(11, FAINT))
    canvas.box(Box(_MIDDLE, y, _WIDTH - _MIDDLE + _MARGIN, 22), stroke=color, radius=5)
    canvas.text(_MIDDLE + 10, y + 15, str(item.guest), Font(12, mono=True))
    label = f"{item.element} {item.alias.removeprefix('ua-') or item.model}".strip()
    canvas.text(_MIDDLE + 130, y + 15, fit_text(label, 250, 12), Font(12, color, bold=True))
    host = "host device assumed" if item.assumed else f"host {item.source}" if item.source is not None else ""
    canvas.text(_MIDDLE + 390, y + 15, fit_text(" ".join(filter(None, (item.name, host))), 260, 11), Font(11, FAINT))
