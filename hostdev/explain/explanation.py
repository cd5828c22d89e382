"""What a pasted text means: its messages matched with the rules, conditions judged, causes ranked."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hostdev.explain.conditions import Context, judge
from hostdev.explain.layers import Unknown, place_unknown
from hostdev.explain.releases import releases_in
from hostdev.explain.text import Message, messages, plain
from hostdev.explain.values import Values, take_values
from hostdev.explain.wording import Index, Wording, make_wording
from hostdev.findings.explain import EXPLAINED, Row, nature_of
from hostdev.findings.release import Release
from hostdev.findings.rule import OF_NUMBERS, Condition, Rule, Sureness
from hostdev.findings.rules import WRITTEN
from hostdev.findings.trouble import Nature

MOST_LINES = 100
"""As many lines of one finding are named; all are counted."""
_NEAR = 320
_BEFORE, _BEHIND = 140, 6
_TOGETHER = 400
_AROUND = 3200
_SHORTEST_FRAGMENT = 10
_SHARE = 0.6
"""As much of a sentence says that it is this one."""
_MOST_IN_A_MESSAGE = 40
_NATURES = list(Nature)
_ENOUGH = 8
_MOST_SHAPES = 4096
_ERRNO_TEXTS = frozenset(
    {
        *("no such file or directory", "permission denied", "operation not permitted", "device or resource busy"),
        *("cannot allocate memory", "invalid argument", "input/output error", "no such device", "file exists"),
        *("operation not supported", "function not implemented", "numerical result out of range", "bad address"),
        *("no space left on device", "read-only file system", "inappropriate ioctl for device", "connection refused"),
    }
)
"""What programs say of anything."""
_BARS = re.compile(r"\bbar (\d+)")
_DIGITS = str.maketrans("123456789", "000000000")


class Explained(NamedTuple):
    """A code that a text leads to: how surely, where it stands, and what it is about."""

    code: str
    sureness: Sureness
    lines: tuple[int, ...] = ()
    times: int = 0
    open: tuple[Condition, ...] = ()
    """What could not be judged from the text."""
    values: Values = Values()

    @property
    def row(self) -> Row:
        """Its row of the tables."""
        return EXPLAINED[self.code]

    @property
    def nature(self) -> Nature:
        """Whether it is a cause, passes one on, or is harmless."""
        return nature_of(self.row)


class Explanation(NamedTuple):
    """All that is known of a text."""

    items: tuple[Explained, ...]
    """The likely root first, the others in the order of their first lines."""
    unknown: Unknown | None = None
    """Set where nothing is known."""
    releases: tuple[Release, ...] = ()
    """Those that the text names."""


class _Paste(NamedTuple):
    heard: Sequence[Message]
    spelt: str
    """The text as it came, where it is short enough to be searched again."""
    releases: tuple[Release, ...]


class _Hit(NamedTuple):
    rule: Rule
    message: Message
    place: int
    end: int
    line: int
    open: tuple[Condition, ...]
    sureness: Sureness

    @property
    def near(self) -> str:
        """The part of the message around the wording."""
        return _near(self.message.text, self.place, self.end)

    @property
    def nature(self) -> Nature:
        return nature_of(EXPLAINED[self.rule.code])


def explain_text(text: str) -> Explanation:
    """Explain a message, a paste of several, or a log."""
    paste = _Paste(list(messages(text)), text if len(text) < 1 << 20 else "", releases_in(text))
    hits = list(_all_hits(paste))
    if not hits:
        fragment = _fragment(text)
        return Explanation(fragment) if fragment else Explanation((), place_unknown(text))
    return Explanation(tuple(_ranked(_without_doubles(hits), paste.spelt)), releases=paste.releases)


def _all_hits(paste: _Paste) -> Iterator[_Hit]:
    """What all messages lead to; one that comes over and over with other numbers is judged a few times."""
    known: dict[str, list[list[_Hit]]] = defaultdict(list)
    for number, message in enumerate(paste.heard):
        shape = _shape(message.text)
        before = known[shape]
        if len(before) == _ENOUGH:
            yield from (hit._replace(line=message.line_at(hit.place)) for hit in before[-1])
            continue
        hits = _settled(_hits(paste, number))
        yield from hits
        if not any(condition in OF_NUMBERS for hit in hits for condition in hit.rule.when):
            before.append(hits)
        if len(known) > _MOST_SHAPES:
            known.clear()


def _shape(text: str) -> str:
    """The text without its numbers, but for those of BARs, which tell what they are."""
    shape = text.translate(_DIGITS)
    return f"{shape}{_BARS.findall(text)}" if "bar " in shape else shape


def _hits(paste: _Paste, number: int) -> list[_Hit]:
    message = paste.heard[number]
    hits: list[_Hit] = []
    for wording in _INDEX.possible(message.text):
        for begin, end in _places(wording, message.text):
            context = _context(paste, number, begin, end)
            for rule in _BY_WORDING[wording]:
                unknown = _unjudged(rule, context)
                if unknown is not None:
                    sureness = Sureness.ONE_OF if unknown else rule.sure
                    line = message.line_at(begin)
                    hits.append(_Hit(rule, message, begin, end, line, unknown, sureness))
    return hits


def _places(wording: Wording, text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for _ in range(_MOST_IN_A_MESSAGE):
        found = wording.find(text, start)
        if found is None:
            return
        yield found
        start = found[1]


def _context(paste: _Paste, number: int, begin: int, end: int) -> Context:
    text = paste.heard[number].text
    around = " ".join(one.text[:_AROUND] for one in paste.heard[max(number - 2, 0) : number + 3])
    said = text[max(begin - _BEFORE, 0) : end + _BEHIND]
    return Context(_near(text, begin, end), said, text[end:], around, paste.releases)


def _near(text: str, begin: int, end: int) -> str:
    return text[max(begin - _NEAR, 0) : end + _NEAR]


def _unjudged(rule: Rule, context: Context) -> tuple[Condition, ...] | None:
    """The conditions that the text does not decide; None: one does not hold."""
    answers = [(condition, judge(condition, context)) for condition in rule.when]
    if any(holds is False for _, holds in answers):
        return None
    return tuple(condition for condition, holds in answers if holds is None)


def _values(near: str, spelt: str) -> Values:
    values = take_values(near)
    if not values.resources:
        return values
    # A resource is case sensitive; the message is in lower case.
    exact = (re.search(re.escape(name), spelt, re.IGNORECASE) for name in values.resources)
    return values._replace(
        resources=tuple(found[0] if found else name for found, name in zip(exact, values.resources, strict=True))
    )


def _settled(hits: list[_Hit]) -> list[_Hit]:
    """Those of one message that no other one puts aside; several causes of the same words are one of several."""
    codes = {hit.rule.code for hit in hits}
    wrapped = any(hit.nature is Nature.WRAPPER for hit in hits)
    strong = [hit for hit in hits if wrapped or hit.rule in _NAMED or not codes.isdisjoint(hit.rule.over)]
    kept = [hit for hit in hits if not any(_puts_aside(other, hit) for other in strong)]
    rivals: dict[int, set[str]] = defaultdict(set)
    for hit in kept:
        if hit.nature is Nature.CAUSE:
            rivals[hit.place].add(hit.rule.code)
    return [
        hit._replace(sureness=Sureness.ONE_OF)
        if len(rivals[hit.place]) > 1 and hit.sureness is Sureness.CERTAIN
        else hit
        for hit in kept
    ]


def _puts_aside(one: _Hit, other: _Hit) -> bool:
    if one.rule.code == other.rule.code or abs(one.place - other.place) > _TOGETHER:
        return False
    if other.rule.code in one.rule.over and not one.open:
        return True
    # A wrapper says nothing beside what it wraps, and a code of ours that is named is meant.
    wrapper = other.nature is Nature.WRAPPER and one.nature is Nature.CAUSE
    return wrapper or (one.rule in _NAMED and other.rule not in _NAMED and one.line == other.line)


def _without_doubles(hits: Iterable[_Hit]) -> list[_Hit]:
    """Each code once a line; of rivals those go that another line does not bear out, where it bears out one."""
    unique = {(hit.rule.code, hit.line, hit.sureness): hit for hit in hits}
    sure = {hit.rule.code for hit in unique.values() if hit.sureness is Sureness.CERTAIN}
    outdone = {code for hit in unique.values() if hit.rule.code in sure for code in hit.rule.over}
    return [
        hit for hit in unique.values() if hit.sureness is not Sureness.ONE_OF or hit.rule.code not in outdone - sure
    ]


def _ranked(hits: Sequence[_Hit], spelt: str) -> Iterator[Explained]:
    by_code: dict[str, list[_Hit]] = defaultdict(list)
    for hit in hits:
        by_code[hit.rule.code].append(hit)
    items = sorted((_explained(code, told, spelt) for code, told in by_code.items()), key=lambda item: item.lines)
    later = {code for hit in hits for code in hit.rule.over}
    root = min(
        items, key=lambda item: (_NATURES.index(item.nature), item.code in later, item.sureness.rank, item.lines)
    )
    yield root
    yield from (item for item in items if item is not root)


def _explained(code: str, hits: Sequence[_Hit], spelt: str) -> Explained:
    best = min(hits, key=lambda hit: hit.sureness.rank)
    lines = sorted({hit.line for hit in hits})
    values = Values()
    for near in dict.fromkeys(hit.near for hit in hits[:MOST_LINES]):
        values = values.joined(_values(near, spelt))
    open_conditions = best.open if all(hit.open for hit in hits) else ()
    return Explained(code, best.sureness, tuple(lines[:MOST_LINES]), len(lines), open_conditions, values)


def _fragment(text: str) -> tuple[Explained, ...]:
    """What a text is a part of: the end or the middle of a sentence."""
    words = plain(text)
    if not _SHORTEST_FRAGMENT <= len(words) <= _NEAR or words in _ERRNO_TEXTS:
        return ()
    codes = dict.fromkeys(
        rule.code
        for wording, rules in _BY_WORDING.items()
        for rule in rules
        if rule in _OF_ROWS and any(words in part and len(words) >= _SHARE * len(part) for part in wording.parts)
    )
    sureness = Sureness.LIKELY if len(codes) == 1 else Sureness.ONE_OF
    return tuple(Explained(code, sureness, (1,), 1, (), take_values(words)) for code in codes)


def rules_of_rows() -> Iterator[Rule]:
    """A rule for each text of a row; what several rows say is of one of them."""
    conditional = {words for rule in WRITTEN if rule.when for words in rule.words}
    weakest: dict[str, Sureness] = {}
    for rule in WRITTEN:
        weakest[rule.code] = max(rule.sure, weakest.get(rule.code, rule.sure), key=lambda sure: sure.rank)
    count = Counter(template for row in EXPLAINED.values() for template in set(row.says))
    for code, row in EXPLAINED.items():
        for template in row.says:
            if template not in conditional:
                alone = weakest.get(code, Sureness.CERTAIN)
                yield Rule(code, (template,), sure=alone if count[template] == 1 else Sureness.ONE_OF)


_NAMED_RULES = tuple(Rule(code, (f"{code}: ", f"code: {code}", f"[{code}]", f"{code}] ")) for code in EXPLAINED)
_NAMED = frozenset(_NAMED_RULES)
_ROW_RULES = tuple(rules_of_rows())
_OF_ROWS = frozenset(_ROW_RULES).difference(WRITTEN)


def _by_wording() -> Mapping[Wording, tuple[Rule, ...]]:
    table: dict[Wording, dict[Rule, None]] = defaultdict(dict)
    for rule in (*WRITTEN, *_ROW_RULES, *_NAMED_RULES):
        for template in rule.words:
            table[make_wording(template)][rule] = None
    return {wording: tuple(rules) for wording, rules in table.items()}


_BY_WORDING = _by_wording()
_INDEX = Index(_BY_WORDING)
