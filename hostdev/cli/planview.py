"""What `passgate inject` shows instead of XML: a diff, a story, or JSON."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

from domxml.apply import Change
from domxml.document import Domain
from domxml.finding import Finding
from domxml.placement.room import PlacedController, PlacedDevice
from domxml.source import Mdev
from domxml.text import visible
from domxml.transform import Transformed
from hostdev.inject.plan import Plan
from hostdev.printing.documents import document

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
    }


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


def story(domain: Domain, plan: Plan, result: Transformed) -> str:
    """The plan for people: each device, where it goes and why; then the controllers."""
    lines = [f"domain {domain.name or '(unnamed)'}"]
    for change in result.changes:
        placed = change.placed
        where = "an address that libvirt chooses" if placed.address is None else f"guest {placed.address}"
        lines.append(f"  {change.action:<9} {placed.function.device} -> {where}")
        lines.append(f"            as {change.alias}: {placed.why}")
        resource, sources = _origin(plan, placed)
        lines.append("            " + (f"allocated for {resource}: " if resource else "") + ", ".join(sources))
        lines += [f"            {key} = {value}" for key, value in placed.function.attributes.items()]
    lines += [f"  removed   {alias}" for alias in result.removed]
    for controller in result.controllers:
        extra = "" if controller.bus_number is None else f", bus numbers from {controller.bus_number}"
        verb = "repaired" if controller.restores else "added"
        lines.append(f"  {verb:<9} {controller.model} {controller.number} at {controller.address}{extra}")
        lines.append(f"            {controller.why}")
    if not result.changes and not result.removed:
        lines.append("  nothing to do")
    return "".join(f"{visible(line)}\n" for line in lines)
