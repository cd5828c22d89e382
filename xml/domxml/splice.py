"""A changed domain, written over the text that it was read from: what did not change keeps its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import zip_longest

from lxml import etree

from domxml.document import Domain, Element, parse_tree
from domxml.errors import PassgateError

# An attribute's value may hold a `>`, and never a `<`.
_TOKEN = re.compile(
    rb"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|</[^>]*+>|<(?:[^<>"']++|"[^"]*+"|'[^']*+')*+>""", re.DOTALL
)
_NAME = re.compile(rb"<([^\s/>]+)")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)(\s*=\s*)("[^"]*"|'[^']*')""")
_LESS_THAN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_IN_TAG = {**_LESS_THAN, '"': "&quot;", "'": "&apos;", "\n": "&#10;", "\t": "&#9;"}
_XML = "http://www.w3.org/XML/1998/namespace"


class NotSpliced(Exception):
    """The text cannot be kept; the reason is a part of a sentence."""


class _Place:
    """Where a node stands in the text, what is around it, and the node as it was read."""

    __slots__ = ("closed", "end", "node", "opened", "start", "tail_end", "text_end")

    def __init__(self, start: int, opened: int) -> None:
        self.start, self.opened = start, opened
        self.text_end = self.closed = self.end = self.tail_end = opened
        self.node: Element

    @property
    def is_closed_at_once(self) -> bool:
        """It is written as `<name/>`, or is no element."""
        return self.opened == self.end


class SourceText:
    """The text of a domain that is about to be changed: it must be made before."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        # As long as these are held, lxml hands out the very same objects for the same nodes.
        self._nodes = tuple(domain.root.iter())

    def rewrite(self) -> bytes:
        """Write the domain as it is now; what is read back from that is the same, or NotSpliced is raised."""
        data = self._domain.data
        written = _Writer(data, self._places(data)).write(self._domain.root)
        try:
            same = _are_equal(parse_tree(written), self._domain.root)
        except PassgateError as error:
            raise NotSpliced(f"what was written cannot be read back ({error.message})") from None
        if not same:
            raise NotSpliced("what is read back differs from what was meant")
        return written

    def _places(self, data: bytes) -> dict[Element, _Place]:
        places = _find_places(data)
        before = tuple(parse_tree(data).iter())
        if not len(places) == len(before) == len(self._nodes):
            raise NotSpliced("its elements could not be found in the text, perhaps because of its encoding")
        for place, node in zip(places, before, strict=True):
            place.node = node
        return dict(zip(self._nodes, places, strict=True))


def _find_places(data: bytes) -> list[_Place]:
    """The places of the root and of all nodes below it, in the order of the document."""
    places: list[_Place] = []
    open_ones: list[_Place] = []
    ended: _Place | None = None
    for match in _TOKEN.finditer(data):
        token, start, end = match[0], match.start(), match.end()
        is_element = token[1:2] not in {b"!", b"?"}
        if token.startswith(b"<![CDATA[") or not (is_element or open_ones):
            continue
        # Text ends here: behind the node that has ended, or at the head of the one that is open.
        if ended is not None:
            ended.tail_end = start
        elif open_ones:
            open_ones[-1].text_end = start
        if token.startswith(b"</"):
            ended = open_ones.pop() if open_ones else None
            if ended is not None:
                ended.closed, ended.end = start, end
            if not open_ones:
                break
            continue
        places.append(place := _Place(start, end))
        if is_element and not token.endswith(b"/>"):
            open_ones.append(place)
            ended = None
        else:
            ended = place
    return places


class _Writer:
    """Bytes of the source where nothing changed, and new ones in its style."""

    def __init__(self, data: bytes, places: dict[Element, _Place]) -> None:
        self.data = data
        self.places = places
        self.quote = b"'" if data.count(b"='") > data.count(b'="') else b'"'
        self.close = b" />" if data.count(b" />") * 2 > data.count(b"/>") else b"/>"
        self.newline = b"\r\n" if data.count(b"\r\n") * 2 > data.count(b"\n") else b"\n"
        self.out: list[bytes] = []

    def write(self, root: Element) -> bytes:
        place = self.places[root]
        self.out.append(self.data[: place.start])
        self._node(root)
        self.out.append(self.data[place.end :])
        return b"".join(self.out)

    def _node(self, node: Element) -> None:
        place = self.places.get(node)
        if not isinstance(node.tag, str):
            if place is None:
                raise NotSpliced("a comment was added")
            self.out.append(self.data[place.start : place.end])
        elif place is None:
            self._new(node)
        else:
            self._known(node, place)

    def _known(self, node: Element, place: _Place) -> None:
        tag = self._tag(node, place)
        name = _NAME.match(tag)
        if name is None:
            raise NotSpliced("a tag could not be found in the text")
        is_empty = not len(node) and not node.text
        if is_empty and not place.is_closed_at_once and (len(place.node) or place.node.text):
            self.out.append(_strip(tag) + self.close)
        elif is_empty and place.is_closed_at_once:
            self.out.append(tag)
        else:
            self.out.append(_strip(tag) + b">" if place.is_closed_at_once else tag)
            self._content(node, place)
            self.out.append(self.data[place.closed : place.end] or b"</" + name[1] + b">")

    def _content(self, node: Element, place: _Place) -> None:
        kept = not place.is_closed_at_once and (node.text or "") == (place.node.text or "")
        self.out.append(self.data[place.opened : place.text_end] if kept else self._text(node.text))
        for child in node:
            self._node(child)
            found = self.places.get(child)
            if found is not None and (child.tail or "") == (found.node.tail or ""):
                self.out.append(self.data[found.end : found.tail_end])
            else:
                self.out.append(self._text(child.tail))

    def _tag(self, node: Element, place: _Place) -> bytes:
        """The start tag: attributes stay in their order, with their quotes; new ones come last."""
        tag = self.data[place.start : place.opened]
        old, new = _attributes(place.node), _attributes(node)
        if old == new:
            return tag
        name = _NAME.match(tag)
        position = 0 if name is None else name.end()
        parts, quote = [tag[:position]], self.quote
        for match in _ATTRIBUTE.finditer(tag, position):
            key = _full_name(match[1], node)
            quote = match[3][:1]
            if not key or new.get(key) == old.get(key):
                parts.append(match[0])
            elif key in new:
                parts.append(match[0][: match.start(3) - match.start()] + _value(new[key], quote))
            position = match.end()
        parts += [b" " + key.encode() + b"=" + _value(new[key], quote) for key in new if key not in old]
        return b"".join((*parts, tag[position:]))

    def _new(self, node: Element) -> None:
        name = str(node.tag).encode()
        attributes = b"".join(
            b" %s=%s" % (key.encode(), _value(value, self.quote)) for key, value in _attributes(node).items()
        )
        self.out.append(b"<" + name + attributes)
        if not len(node) and not node.text:
            self.out.append(self.close)
            return
        self.out += [b">", self._text(node.text)]
        for child in node:
            self._node(child)
            self.out.append(self._text(child.tail))
        self.out.append(b"</" + name + b">")

    def _text(self, text: str | None) -> bytes:
        return _escape(text or "", _LESS_THAN).replace(b"\n", self.newline)


def _strip(tag: bytes) -> bytes:
    """A start tag without its end."""
    return tag.removesuffix(b">").removesuffix(b"/").rstrip()


def _full_name(name: bytes, node: Element) -> str:
    """An attribute's name as lxml has it; empty for the declaration of a namespace."""
    prefix, colon, local = name.decode(errors="replace").rpartition(":")
    if "xmlns" in {prefix, local}:
        return ""
    if not colon:
        return local
    return f"{{{_XML if prefix == 'xml' else node.nsmap.get(prefix, '')}}}{local}"


def _value(value: str, quote: bytes) -> bytes:
    other = "'" if quote == b'"' else '"'
    return quote + _escape(value, {**_IN_TAG, other: other}) + quote


def _attributes(node: Element) -> dict[str, str]:
    return {str(key): str(value) for key, value in node.items()}


def _escape(text: str, table: Mapping[str, str]) -> bytes:
    """As ASCII: that holds in whatever encoding the document is in."""
    return text.translate({ord(letter): written for letter, written in table.items()}).encode(
        "ascii", "xmlcharrefreplace"
    )


def _are_equal(one: Element, other: Element) -> bool:
    return all(
        a is not None and b is not None and _shape(a) == _shape(b) for a, b in zip_longest(one.iter(), other.iter())
    )


def _shape(node: Element) -> tuple[object, ...]:
    target = node.target if isinstance(node, etree._ProcessingInstruction) else ""  # noqa: SLF001  it has no other name
    tail = node.tail if node.getparent() is not None else None
    attributes = _attributes(node) if isinstance(node.tag, str) else {}
    return node.tag, target, attributes, node.nsmap, len(node), node.text or "", tail or ""
