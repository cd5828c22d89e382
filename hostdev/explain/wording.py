"""Wordings made ready for search: each is known by its rarest word, and found by its parts in their order."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hostdev.explain.text import plain
from hostdev.findings.explain import PLACEHOLDER

_LONGEST = 220
_SHAPES = {
    "resource": re.compile(r"\s?[a-z0-9-]+(?:\.[a-z0-9-]+)+/[a-z0-9]"),
    "group": re.compile(r"\s?(?:number |noiommu-)?[0-9]{1,7}(?![0-9a-z])"),
}
_TOKEN = re.compile(r"[a-z][a-z0-9]*")
_TRIES = 64


class Wording(NamedTuple):
    """The parts of a template between its gaps."""

    parts: tuple[str, ...]
    shapes: tuple[str, ...] = ()
    """Behind each part the name of what must stand there; empty where anything may."""

    def find(self, text: str, start: int = 0) -> tuple[int, int] | None:
        """The place of the wording in a text that is plain; its parts may be a little apart."""
        for _ in range(_TRIES):
            begin = text.find(self.parts[0], start)
            if begin < 0:
                return None
            end = self._end(text, begin)
            if end is not None:
                return self._nearest(text, begin, end), end
            start = begin + 1
        return None

    def _nearest(self, text: str, begin: int, end: int) -> int:
        """The last beginning that leads to the same end: the first may be of another line."""
        for _ in range(_TRIES):
            later = text.find(self.parts[0], begin + 1, end)
            if later < 0 or self._end(text, later) != end:
                return begin
            begin = later
        return begin

    def _end(self, text: str, begin: int) -> int | None:
        end = begin + len(self.parts[0])
        for index, part in enumerate(self.parts):
            if index:
                place = text.find(part, end, end + _LONGEST + len(part))
                if place < 0:
                    return None
                end = place + len(part)
            shape = _SHAPES.get(self.shapes[index]) if self.shapes else None
            if shape and not shape.match(text, end):
                return None
        return end


def make_wording(template: str) -> Wording:
    """Make a template ready."""
    pieces = PLACEHOLDER.split(template)
    parts, gaps = [plain(piece) for piece in pieces[::2]], pieces[1::2]
    filled = [at for at, part in enumerate(parts) if part]
    shapes = tuple(gaps[at] if at < len(gaps) and gaps[at] in _SHAPES else "" for at in filled)
    return Wording(tuple(parts[at] for at in filled), shapes if any(shapes) else ())


class Index:
    """Which wordings can be in a text at all, by one word each that must be there."""

    def __init__(self, wordings: Iterable[Wording]) -> None:
        every = {wording: _whole_words(wording) for wording in wordings}
        count = Counter(word for words in every.values() for word in words)
        by_word: dict[str, list[tuple[frozenset[str], Wording]]] = defaultdict(list)
        for wording, words in every.items():
            rarest = min(words, key=lambda word: (_COMMON.get(word, count[word]), -len(word)))
            by_word[rarest].append((frozenset(words), wording))
        self._by_word: Mapping[str, list[tuple[frozenset[str], Wording]]] = dict(by_word)

    def possible(self, text: str) -> list[Wording]:
        """The wordings whose word is in a plain text."""
        words = set(_TOKEN.findall(text))
        if self._by_word.keys().isdisjoint(words):
            return []
        return [
            wording
            for word in sorted(self._by_word.keys() & words)
            for needed, wording in self._by_word[word]
            if needed <= words
        ]


_COMMON = dict.fromkeys(("error", "failed", "device", "the", "to", "not", "is", "of", "in", "vfio", "pci", "msg"), 999)


def _whole_words(wording: Wording) -> list[str]:
    """The words that a text has as a whole where it has the wording: not those at the rim of a part."""
    inner = []
    for part in wording.parts:
        found = [match[0] for match in _TOKEN.finditer(part)]
        first_is_cut = bool(re.match(r"[a-z0-9]", part))
        last_is_cut = bool(re.search(r"[a-z0-9]$", part))
        inner.extend(found[(1 if first_is_cut else 0) : (len(found) - 1 if last_is_cut else len(found))])
    return inner or [match[0] for part in wording.parts for match in _TOKEN.finditer(part)]
