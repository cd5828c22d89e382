"""What `passgate inject` shows instead of XML: a diff, a story, or JSON."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from domxml.apply import Change
from domxml.document import Domain
from domxml.finding import Finding
from domxml.placement.room import PlacedController, PlacedDevice
from domxml.source import Mdev
from domxml.text import visible
from domxml.transform import Transformed
from hostdev.inject.plan import Plan
from hostdev.printing.documents import document

if TYPE_CHECKING:
    from domxml.removal import RemovedController

_NO_NEWLINE = b"\n\\ No newline at end of file\n"


def diff(before: bytes, after: bytes) -> bytes:
    """A unified diff that `patch` takes."""
    # A line ends where a diff says so, whatever else Python takes for an end.
    old, new = (re.findall(rb".*\n|.+", text) for text in (before, after))
    lines = difflib.diff_bytes(difflib.unified_diff, old, new, b"domain", b"domain with devices")
    return b"".join(line if line.endswith(b"\n") else line + _NO_NEWLINE for line in lines)


def as_json(plan: Plan, result: Transformed, findings: Sequence[Finding]) -> str:
    """The plan for programs; the keys are a contract."""
    made = document(
        "Plan",
        devices=[_device(change, *_origin(plan, change.placed)) for change in result.changes],
        controllers=[_controller(controller) for controller in result.controllers],
        removed=list(result.removed),
        removedControllers=[_removed(one) for one in (result.removal.controllers if result.removal else ())],
        findings=[finding.as_dict() for finding in findings],
    )
    return json.dumps(made, indent=2) + "\n"


def _origin(plan: Plan, placed: PlacedDevice) -> tuple[str, tuple[str, ...]]:
    """The resource and the sources of a device; the other functions of its slot come along with it."""
    origin = plan.origins[placed.slot.name]
    if placed.function.device == origin.device:
        return origin.resource, origin.told_by
    return "", (f"together with {origin.device}",)


def _device(change: Change, resource: str, sources: tuple[str, ...]) -> dict[str, Any]:
    placed = change.placed
    return {
        "name": placed.slot.name,
        "alias": change.alias,
        "type": "mdev" if isinstance(placed.function.device, Mdev) else "pci",
        "source": str(placed.function.device),
        "guestAddress": None if placed.address is None else str(placed.address),
        "resource": resource or None,
        "sources": list(sources),
        "action": change.action,
        "why": placed.why,
        "guestAddressBefore": None if change.was_at is None else str(change.was_at),
        "aliasBefore": change.was_called or None,
    }


def _removed(controller: RemovedController) -> dict[str, Any]:
    address = None if controller.address is None else str(controller.address)
    return {"index": controller.number, "model": controller.model, "guestAddress": address}


def _controller(controller: PlacedController) -> dict[str, Any]:
    return {
        "index": controller.number,
        "model": controller.model,
        "guestAddress": str(controller.address),
        "busNr": controller.bus_number,
        "node": controller.node,
        "action": "updated" if controller.restores else "added",
        "why": controller.why,
    }


def story(domain: Domain, plan: Plan, result: Transformed, *, wide: bool) -> str:
    """The plan for people: each device, where it goes and why; then the controllers, one by one where it is `wide`."""
    lines = [f"domain {domain.name or '(unnamed)'}"]
    for change in result.changes:
        lines += _device_lines(plan, change)
    lines += [f"  removed   {alias}" for alias in result.removed]
    if result.removal:
        lines += [f"  pinned    {device}" for device in result.removal.pinned]
        gone = [(one.number, one.model) for one in result.removal.controllers]
        lines += [f"  removed   {model} {index}" for index, model in gone] if wide else _summary("removed", gone)
    if wide:
        for controller in result.controllers:
            extra = "" if controller.bus_number is None else f", bus numbers from {controller.bus_number}"
            verb = "repaired" if controller.restores else "added"
            lines.append(f"  {verb:<9} {controller.model} {controller.number} at {controller.address}{extra}")
            lines.append(f"            {controller.why}")
    else:
        for verb, restores in (("repaired", True), ("added", False)):
            there = [(one.number, one.model) for one in result.controllers if one.restores is restores]
            lines += _summary(verb, there)
    if not result.changes and not result.removed:
        lines.append("  nothing to do")
    return "".join(f"{visible(line)}\n" for line in lines)


def _device_lines(plan: Plan, change: Change) -> list[str]:
    placed = change.placed
    where = "an address that libvirt chooses" if placed.address is None else f"guest {placed.address}"
    lines = [f"  {change.action:<9} {placed.function.device} -> {where}"]
    if change.was_at is not None:
        lines.append(f"            it was at {change.was_at}")
    if change.was_called:
        lines.append(f"            it was called {change.was_called}")
    lines.append(f"            as {change.alias}: {placed.why}")
    resource, sources = _origin(plan, placed)
    lines.append("            " + (f"allocated for {resource}: " if resource else "") + ", ".join(sources))
    return [*lines, *(f"            {key} = {value}" for key, value in placed.function.attributes.items())]


def _summary(verb: str, controllers: Sequence[tuple[int, str]]) -> list[str]:
    """One line: `added     9 PCI controllers: pcie-root-port 1-7, 9; pcie-to-pci-bridge 8`."""
    if not controllers:
        return []
    models = dict.fromkeys(model for _, model in sorted(controllers))
    parts = [f"{model} {_ranges(i for i, name in controllers if name == model)}" for model in models]
    count = f"{len(controllers)} PCI controller{'s' if len(controllers) > 1 else ''}"
    return [f"  {verb:<9} {count}: {'; '.join(parts)}"]


def _ranges(numbers: Iterable[int]) -> str:
    """Write 1, 2, 3, 5 as `1-3, 5`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
