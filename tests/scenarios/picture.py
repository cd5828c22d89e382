"""A picture of scenarios: which host device goes to which guest address, and who said that the VM has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domxml.document import Domain
from domxml.pciaddress import PciAddress
from hostdev.cli.drawing.scene import GOOD, HUES, tint
from hostdev.cli.drawing.svg import FAINT, Box, Canvas, Font, fit_text
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine, Mdev, PciFunction
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from tests.scenarios.cases import Case

MARGIN = 28.0
LEFT, MIDDLE, RIGHT = 424.0, 296.0, 372.0
"""Widths of the host's column, of the arrows, and of the guest's column."""
WIDTH = LEFT + MIDDLE + RIGHT + 2 * MARGIN
ROW, GAP, HEAD = 54.0, 10.0, 44.0
LINE = "#8492a6"


@dataclass(frozen=True, slots=True)
class Row:
    """One device: what it is on the host, who gave it, what it is in the guest."""

    source: str
    about: str
    told: str
    guest: str
    behind: str
    alias: str


def draw(cases: Sequence[Case]) -> str:
    """The SVG document."""
    canvas = Canvas()
    y = MARGIN
    for number, case in enumerate(cases):
        y = _case(canvas, case, y, HUES[number % len(HUES)])
    return canvas.document(WIDTH, y - GAP + MARGIN, "Host devices and their guest addresses")


def _case(canvas: Canvas, case: Case, y: float, color: str) -> float:
    """One VM; tells where the next begins."""
    plan: dict[str, Any] = json.loads(case.inject("-o", "json").out)
    with open_host(case.host) as host:
        machine = scan(host)
    rows = [_row(machine, plan, device) for device in plan["devices"]]
    right = WIDTH - MARGIN - RIGHT
    canvas.text(MARGIN, y + 26, f"host {case.host.stem}", Font(15, bold=True))
    canvas.text(right, y + 26, _vm(case), Font(15, bold=True))
    y += HEAD
    for row in rows:
        _device(canvas, row, y, right, color)
        y += ROW + GAP
    return y + GAP


def _device(canvas: Canvas, row: Row, y: float, right: float, color: str) -> None:
    canvas.box(Box(MARGIN, y, LEFT, ROW), fill=tint(GOOD), stroke=GOOD)
    canvas.text(MARGIN + 14, y + 23, fit_text(row.source, LEFT - 24, 13.5), Font(13.5, bold=True, mono=True))
    canvas.text(MARGIN + 14, y + 42, fit_text(row.about, LEFT - 24, 12), Font(12, FAINT))
    canvas.box(Box(right, y, RIGHT, ROW), fill=tint(color), stroke=color)
    canvas.text(right + 14, y + 23, row.guest, Font(13.5, bold=True, mono=True))
    canvas.text(right + 130, y + 23, row.behind, Font(12, FAINT))
    canvas.text(right + 14, y + 42, fit_text(row.alias, RIGHT - 24, 12), Font(12, FAINT, mono=True))
    middle, start, end = y + ROW / 2, MARGIN + LEFT + 8, right - 8
    canvas.path(f"M{start:g} {middle:g}H{end:g}m-7 -5l7 5l-7 5", stroke=LINE)
    canvas.text((start + end) / 2, middle - 9, fit_text(row.told, MIDDLE - 24, 11.5), Font(11.5, FAINT, middle=True))


def _vm(case: Case) -> str:
    domain = Domain.parse(case.domain)
    machine = "" if domain.os_type is None else domain.os_type.get("machine", "")
    return f"VM {domain.name.partition('_')[2]} ({machine})"


def _row(machine: Machine, plan: dict[str, Any], device: dict[str, Any]) -> Row:
    guest = PciAddress.parse(device["guestAddress"])
    ports = {controller["index"]: controller["guestAddress"] for controller in plan["controllers"]}
    behind = f"behind the root port at {PciAddress.parse(ports[guest.bus])}" if guest.bus else "on the root bus"
    told = (device["resource"] or device["sources"][0]).rpartition("/")[2]
    return Row(device["source"], _about(machine, device["source"]), told, str(guest), behind, device["alias"])


def _about(machine: Machine, source: str) -> str:
    mdevs: dict[str, tuple[Mdev, PciFunction]] = {
        mdev.uuid: (mdev, function) for function in machine.functions.values() for mdev in function.mdevs
    }
    if source in mdevs:
        mdev, parent = mdevs[source]
        title = next(kind.title for kind in parent.mdev_types if kind.name == mdev.type)
        return f"{title} of {parent.address} · group {mdev.group}"
    function = machine.functions[PciAddress.parse(source)]
    what = f"VF of {function.physfn}" if function.physfn else pciids.ids(function)
    kind = pciids.class_name(function.class_code)
    return f"{kind} · {what} · group {function.group} · {function.driver}"
