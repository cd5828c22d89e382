"""What a list of devices leaves out by default, so that those a guest could have stand on one screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hostdev.cli.devices import Device
from hostdev.inventory.boardparts import board_part, may_be_board_part
from hostdev.inventory.vfiodrivers import is_on_vfio

BRIDGES, PARTS, MAYBE = "bridges", "parts of the board", "functions that may be parts of the board"
_ONE = {BRIDGES: "bridge", PARTS: "part of the board", MAYBE: "function that may be a part of the board"}
ALIKE = 3
"""So many VFs that are alike become one row."""

Alike = tuple[Device, ...]
"""One device, or VFs of one PF that have the same driver and the same verdict."""


def fold(shown: Iterable[Device]) -> tuple[list[Alike], Counter[str]]:
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


def summary(left_out: Counter[str]) -> str:
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
