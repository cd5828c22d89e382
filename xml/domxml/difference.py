"""What changed in a domain, element by element, and nothing of what did not: a neighbour may be a secret."""

from __future__ import annotations

import difflib

from lxml import etree

from domxml.document import Domain, Element

SECRETS = frozenset({"passwd", "password", "secret"})
"""Attributes whose values no log shows, whatever changed them."""


def difference_lines(before: bytes, after: bytes) -> list[str]:
    """The lines that went and came: paths and attributes, as `- devices/hostdev[2]/rom bar=off`."""
    lines = difflib.unified_diff(_lines(before), _lines(after), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _lines(xml: bytes) -> list[str]:
    tree = Domain.parse(xml).root.getroottree()
    lines = []
    for element in tree.iter(etree.Element):
        attributes = [f"{name}={'…' if name in SECRETS else value}" for name, value in _attributes(element)]
        text = (element.text or "").strip()
        lines.append(" ".join(part for part in (_path(element), *attributes, text) if part))
    return lines


def _attributes(element: Element) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in element.items()]


def _path(element: Element) -> str:
    names = [str(etree.QName(up).localname) for up in (*reversed(list(element.iterancestors())), element)]
    return "/".join(names[1:]) or names[0]
