"""What the page shows, as values that JSON takes; what needs a node's machine is made where that is read."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from domxml.finding import Finding, FindingKind
from domxml.text import visible
from hostdev.cli.drawing import svg, text
from hostdev.cli.drawing.scene import Scene
from hostdev.cli.fleet.survey import Head, Moment, head_of
from hostdev.findings.explain import EXPLAINED, page
from hostdev.fleet.node import Node, State
from hostdev.fleet.placement import Answer
from hostdev.inventory.pciids import Namer, class_name, ids
from hostdev.printing.cells import Branch, Cell, Tone, cell
from hostdev.units.unit import Unit

Content = dict[str, Any]

KINDS: Mapping[str, tuple[str, ...]] = {
    "gpu": ("03",),
    "nic": ("02", "0c06"),
    "nvme": ("0108",),
    "storage": ("01", "0c04"),
    "crypto": ("10", "0b40"),
    "accelerator": ("12",),
    "usb": ("0c03",),
    "other": ("",),
}
"""The columns of the glance, and the class codes that belong to each; the first that fits counts."""
_STATES = list(State)
_TONES = {Tone.GOOD: "ready", Tone.WARN: "unknown", Tone.BAD: "blocked", Tone.FAINT: "faint", Tone.STRONG: "strong"}


class NodeDrawing(NamedTuple):
    """A node, made in the process that has read it."""

    head: Head
    content: Content


def draw_node(node: Node, moment: Moment, names: Namer) -> NodeDrawing:
    """Everything about one node, but for what is found of all."""
    scene = Scene.of(node.machine, names, "group")
    content = {
        "units": [_unit(node, unit, scene) for unit in node.units],
        "unseen": [[visible(what), visible(why)] for what, why in node.unseen],
        "tree": [_branch(branch) for branch in text.branches(scene)],
        "picture": base64.b64encode(zlib.compress(svg.draw(scene).encode())).decode(),
    }
    return NodeDrawing(head_of(node, moment), content)


def node_content(drawn: NodeDrawing, findings: Iterable[Finding]) -> Content:
    """What the page has of one node."""
    head = drawn.head
    return {
        "name": visible(head.node),
        "kernel": visible(head.kernel),
        "taken": visible(head.taken),
        "age": "" if head.seconds is None else head.age,
        "seconds": head.seconds,
        "passgate": visible(head.passgate),
        "boot": visible(head.boot),
        "findings": [finding_content(finding) for finding in (*head.findings, *findings)],
        **drawn.content,
    }


def _unit(node: Node, unit: Unit, scene: Scene) -> list[Any]:
    """As a list, in the order of UNIT in the script: there are thousands."""
    function = node.machine.functions[unit.primary]
    return [
        list(KINDS).index(kind_of(unit.class_code)),
        _STATES.index(node.state_of(unit)),
        str(unit.primary),
        visible(scene.devices[unit.primary].title),
        ids(function),
        class_name(unit.class_code),
        visible(unit.driver or ""),
        unit.numa_node,
        str(unit.kind),
        [str(one) for one in unit.functions[1:]],
        list(unit.groups),
        list(unit.blockers),
        [visible(f"/{holder.lstrip('/')}") for holder in node.holders_of(unit)],
    ]


def kind_of(class_code: int) -> str:
    """The column of a class."""
    code = f"{class_code:06x}"
    return next(kind for kind, starts in KINDS.items() if code.startswith(starts))


def _branch(branch: Branch) -> list[Any]:
    """A line of the tree as `node draw` prints it: texts, those with a tone beside it, and what hangs below."""
    return [[_text(cell(part)) for part in branch.label], [_branch(child) for child in branch.children]]


def _text(part: Cell) -> str | list[str]:
    return [part.text, _TONES[part.tone]] if part.tone in _TONES else part.text


def finding_content(finding: Finding) -> Content:
    """A finding without its evidence."""
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "subject": visible(finding.subject),
        "message": visible(finding.message),
        "hint": visible(finding.hint),
    }


def why_content(vm: str, answers: Mapping[str, Answer]) -> Content:
    """Where a VM could run, in the order given."""
    items = [
        {
            "node": visible(node),
            "verdict": str(answer.verdict),
            "findings": [finding_content(finding) for finding in answer.findings],
        }
        for node, answer in answers.items()
    ]
    return {"vm": visible(vm), "items": items}


def pages(codes: Iterable[str]) -> Content:
    """The pages of these codes, as `passgate explain CODE` prints them."""
    return {code: _page(code) for code in sorted(set(codes)) if code in EXPLAINED}


def _page(code: str) -> Content:
    row = EXPLAINED[code]
    severity = str(row.severity) if isinstance(row, FindingKind) else ""
    return {"title": row.title, "severity": severity, "page": page(row)}


def codes_of(nodes: Iterable[Content], why: Content | None) -> Iterator[str]:
    """Every code that the page names."""
    for node in nodes:
        yield from (finding["code"] for finding in node["findings"])
        for unit in node["units"]:
            yield from unit[-2]
    for item in why["items"] if why else ():
        yield from (finding["code"] for finding in item["findings"])
