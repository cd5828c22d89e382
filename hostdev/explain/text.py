"""Pasted text as messages: without colours, borders, quotes and escapes, with wrapped lines put together again."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

_MOST_LINES = 40
_MOST_LETTERS = 6000
_OVERLAP = 4
_LONGEST_GAP_BETWEEN = 400
_NARROWEST_TERMINAL = 40
_MOST_WRAPPED = 400

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_BARE_COLOUR = re.compile(r"(?:\\u001b|\\x1b|\\033|\^\[)\[[0-9;]{0,12}m|(?<!\w)\[[0-9]{1,2}(?:;[0-9]{1,3}){0,4}m")
_BORDER = re.compile(r"^[\s>│┃┆┊║|▌▎#]*|[\s│┃┆┊║|▐]+$")
_CODE_POINT = re.compile(r"\\+u([0-9a-fA-F]{4})")
_BREAK = re.compile(r"(?<![a-z]:)(?:\\+[nrt](?=[^a-z]|[A-Z*]|$)|\\+[nr])")
_TAG = re.compile(
    r"</?(?:pre|code|p|br|div|span|b|i|em|strong|blockquote|li|td|tr|a|h[1-6])\b[^<>]{0,200}>", re.IGNORECASE
)
_LINK = re.compile(r"\[([^\[\]]{1,200})\]\(https?://[^\s()]{1,400}\)")
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_SIGNS = {
    **{0xFF01 + offset: 0x21 + offset for offset in range(0x5E)},
    **str.maketrans(
        _DASHES,
        "-" * len(_DASHES),
        "'\"`\\\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb*\u200b\u200c\u200d\u2060\u00ad\ufeff",
    ),
}
"""Signs as a plain text has them: narrow, with one dash, without quotes and without what has no width."""
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8}[0-9]?);", re.IGNORECASE)
_PARTIAL = re.compile(r"^(\S+ (?:stdout|stderr) )([PF]) (.*)$", re.DOTALL)
_JOURNAL_BYTES = re.compile(r'"MESSAGE"\s*:\s*\[([0-9,\s]{1,400000})\]')
_START = re.compile(
    r"""\s*(?:[\[({]?\s*[0-9]{1,6}\.[0-9]{3,6}\]|\[?(?:mon|tue|wed|thu|fri|sat|sun)\b|[a-z]+\s+\{"|\{"|time=|level=|ts="""
    r"""|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\s+[0-9]{1,2}\s|\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}"""
    r"""|[0-9]{2}:[0-9]{2}:[0-9]{2}|[iwef][0-9]{4}\s|<[0-9]>|(?:warning|normal)\s{2,}|[0-9]+[smhd][0-9smhd]*\s+(?:warning|normal)"""
    r"""|(?:error|warning|fatal|panic|kvm|stderr)\s?:|qemu[a-z0-9_-]*:|libvirt\w*:|[*-]\s)""",
    re.IGNORECASE,
)


class Message(NamedTuple):
    """One message: its words in lower case, and the line that each part of it stands on."""

    text: str
    starts: tuple[int, ...]
    numbers: tuple[int, ...]

    def line_at(self, place: int) -> int:
        """The line on which a letter stands, counted from 1."""
        return self.numbers[max(bisect_right(self.starts, place) - 1, 0)]


def plain(text: str) -> str:
    """The words of a text as they are compared: lower case, one space, no quotes and no colours."""
    if "\x1b" in text or "[" in text:
        text = _BARE_COLOUR.sub("", _ESCAPE.sub("", text))
    if "\\" in text:
        text = _CODE_POINT.sub(lambda found: chr(int(found[1], 16)), text)
        text = _BREAK.sub(" ", text)
    if "&" in text and ";" in text:
        # What was quoted twice is escaped twice.
        text = _ENTITY.sub(_sign_of, _ENTITY.sub(_sign_of, text))
    if "](" in text:
        text = _LINK.sub(r"\1", text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    return " ".join(text.translate(_SIGNS).lower().split())


def _sign_of(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def messages(text: str) -> Iterator[Message]:
    """The messages of a text, in its order; a long run of lines that show no beginning comes in pieces that overlap."""
    lines = text.splitlines()
    block: list[tuple[int, str]] = []
    letters = 0
    for number, line in _whole_lines(lines):
        bare = _unframed(line)
        cleaned = plain(bare)
        if not cleaned:
            continue
        begins = _START.match(bare) is not None
        if begins or len(block) >= _MOST_LINES or letters > _MOST_LETTERS:
            yield from _pieces(block, " ")
            block = [] if begins else block[-_OVERLAP:]
            letters = 0
        block.append((number, cleaned))
        letters += len(cleaned)
    yield from _pieces(block, " ")
    if 1 < len(lines) <= _MOST_WRAPPED:
        yield from _wrapped(lines)


def _whole_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines and their numbers; containerd cuts long ones in parts, and journald writes bytes as numbers."""
    first = 0
    begun: list[str] = []
    for number, line in enumerate(lines, start=1):
        part = _PARTIAL.match(line) if " stdout " in line or " stderr " in line else None
        if part and part[2] == "P":
            first = first or number
            begun.append(part[3] if begun else part[1] + part[3])
        elif begun:
            yield first, "".join((*begun, part[3] if part else line))
            first, begun = 0, []
        else:
            yield number, _JOURNAL_BYTES.sub(_decoded, line) if '"MESSAGE"' in line else line
    if begun:
        yield first, "".join(begun)


def _decoded(found: re.Match[str]) -> str:
    numbers = (int(number) for number in found[1].split(",") if number.strip())
    text = bytes(number for number in numbers if number < 1 << 8).decode(errors="replace")
    return f'"MESSAGE":"{text}"'


def _unframed(line: str) -> str:
    return _BORDER.sub("", line, count=2)


def _pieces(block: Sequence[tuple[int, str]], glue: str) -> Iterator[Message]:
    if not block:
        return
    if len(block) == 1 and len(block[0][1]) <= _MOST_LETTERS:
        yield Message(block[0][1], (0,), (block[0][0],))
        return
    places, place = [], 0
    for _, part in block:
        places.append(place)
        place += len(part) + len(glue)
    whole = Message(glue.join(part for _, part in block), tuple(places), tuple(number for number, _ in block))
    step = _MOST_LETTERS * 2
    if len(whole.text) <= step:
        yield whole
        return
    for at in range(0, len(whole.text), step):
        begin = max(at - _LONGEST_GAP_BETWEEN, 0)
        yield Message(whole.text[begin : at + step], (0,), (whole.line_at(begin),))


def _wrapped(lines: Sequence[str]) -> Iterator[Message]:
    """What a terminal broke in the middle of words: lines of one width, each continued by the next."""
    widest = max(map(len, lines))
    if widest < _NARROWEST_TERMINAL or sum(len(line) == widest for line in lines[:-1]) < 1:
        return
    block: list[tuple[int, str]] = []
    for number, line in enumerate(lines, start=1):
        # A blank at the rim may be there, or was left out by what copied it.
        is_full, has_blank = len(line) >= widest - 1, len(line) == widest - 1 or line.endswith(" ")
        block.append((number, plain(_unframed(line)) + (" " if is_full and has_blank else "")))
        if not is_full:
            yield from _pieces(block if len(block) > 1 else (), "")
            block = []
    yield from _pieces(block if len(block) > 1 else (), "")
