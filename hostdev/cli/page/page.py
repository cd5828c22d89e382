"""The page as one file: markup, style and script from beside this module, the content as JSON in it."""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import pkgutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from string import Template
from typing import NamedTuple

from domxml.errors import BadInput, NotPermitted
from domxml.finding import Finding
from domxml.text import printable, visible
from hostdev.cli.fleet.survey import Moment, each_node, find_twins, write_whole_file
from hostdev.cli.page.content import (
    KINDS,
    Content,
    NodeDrawing,
    codes_of,
    draw_node,
    finding_content,
    node_content,
    pages,
)
from hostdev.fleet.snapshots import Broken, Fleet
from hostdev.helptext import passgate_version
from hostdev.inventory.pciids import Namer
from hostdev.printing import output

SCRIPTS = ("elements.js", "model.js", "views.js", "detail.js", "page.js")
"""Joined in this order."""


class FleetDrawing(NamedTuple):
    """A fleet, read and drawn."""

    directory: str
    nodes: Sequence[NodeDrawing]
    broken: Sequence[Finding]
    """Of files that are no snapshots."""

    @property
    def twins(self) -> tuple[Finding, ...]:
        return tuple(find_twins(one.head for one in self.nodes))

    @property
    def findings(self) -> list[Finding]:
        """All that was found of its files."""
        return [*self.broken, *(found for one in self.nodes for found in one.head.findings), *self.twins]


def save_page(file: str, drawing: FleetDrawing, moment: Moment, why: Content | None = None) -> None:
    """Write the page of a fleet, with where a VM could run if one was asked about."""
    write_page(file, fleet_content(drawing, moment, why))
    if file != output.STANDARD_INPUT:
        output.note(f"note: {file} shows {len(drawing.nodes)} nodes; any browser opens it")


def check_page(arguments: argparse.Namespace) -> None:
    """Refuse to print something else at the same time."""
    if arguments.html and arguments.output != "table":
        what = f"--html writes a page, and -o {arguments.output} prints something else"
        raise BadInput("bad-usage", what, hint="leave one of them out, or run it twice")


def draw_fleet(fleet: Fleet, moment: Moment, names: Namer) -> FleetDrawing:
    """Draw every node where it is read."""
    nodes: list[NodeDrawing] = []
    broken = list(fleet.findings)
    for one in each_node(fleet, partial(draw_node, moment=moment, names=names)):
        if isinstance(one, Broken):
            broken.append(one.finding)
        else:
            nodes.append(one)
    return FleetDrawing(fleet.directory, nodes, broken)


def fleet_content(drawing: FleetDrawing, moment: Moment, why: Content | None = None) -> Content:
    """All that the page knows."""
    twins: dict[str, list[Finding]] = {}
    for found in drawing.twins:
        twins.setdefault(found.subject, []).append(found)
    nodes = [node_content(one, twins.get(one.head.node, ())) for one in drawing.nodes]
    broken = [finding_content(finding) for finding in drawing.broken]
    return {
        "made": f"{moment.now:%Y-%m-%d %H:%M} UTC",
        "passgate": passgate_version(),
        "from": visible(drawing.directory),
        "kinds": list(KINDS),
        "nodes": nodes,
        "broken": broken,
        "why": why,
        "pages": pages([*codes_of(nodes, why), *(finding["code"] for finding in broken)]),
    }


def write_page(file: str, content: Content) -> None:
    """Write it whole or not at all; - is standard output, and what is no file, such as a pipe, is written to."""
    text = page_text(content)
    if file == output.STANDARD_INPUT:
        output.write(text)
        return
    target = Path(file)
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
        else:
            write_whole_file(target, text)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise NotPermitted("not-written", what, subject=printable(file, 200)) from None


def page_text(content: Content) -> str:
    """The page. What its policy does not name by its digest does not run, and nothing is loaded."""
    style, script = _read("page.css"), "".join(map(_read, SCRIPTS))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    template = Template(_read("page.html"))
    return template.substitute(policy=policy, style=style, script=script, data=json_in_html(content))


def json_in_html(content: object) -> str:
    """JSON in which no letter means anything to HTML, nor ends a line for JavaScript."""
    text = json.dumps(content, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _read(name: str) -> str:
    return (pkgutil.get_data(__name__, name) or b"").decode()


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
