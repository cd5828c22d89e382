"""Tables of rules: messages as programs write them, and near ones of the same words that a rule must not take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from hostdev.explain.text import plain
from hostdev.explain.wording import make_wording
from hostdev.findings import (
    barspace,
    cluster,
    domainstart,
    guestdriver,
    hardware,
    kubelet,
    mapping,
    networks,
    noise,
    vgpu,
    virtualfunctions,
)
from hostdev.findings.rule import Rule
from tests.hostdev.texts import match_codes

RULES_OF_START = (*mapping.RULES, *domainstart.RULES, *cluster.RULES)
RULES_OF_HARDWARE = (*vgpu.RULES, *hardware.RULES, *barspace.RULES)
RULES_OF_CLUSTER = (*virtualfunctions.RULES, *networks.RULES, *kubelet.RULES, *guestdriver.RULES, *noise.RULES)
"""Each has a test with its table."""
_SHARED = 0.5
"""As many of a message's words a near one has at least."""


class Row(NamedTuple):
    """A rule's messages, by its code and its conditions."""

    code: str
    texts: tuple[str, ...]
    """Two or more, in at least two wordings of the rule."""
    near: str
    when: tuple[str, ...] = ()


def lacking(rules: Iterable[Rule], rows: Iterable[Row]) -> list[str]:
    """The rules without a row of two messages and two wordings."""
    table = list(rows)
    return [f"{rule.code}: {rule.words[0]}" for rule in rules if not any(_proves(row, rule) for row in table)]


def _proves(row: Row, rule: Rule) -> bool:
    if (row.code, row.when) != (rule.code, tuple(condition.key for condition in rule.when)):
        return False
    wordings = [make_wording(words) for words in rule.words]
    hits = [frozenset(one for one in wordings if one.find(plain(text))) for text in row.texts]
    return len(row.texts) > 1 and all(hits) and len(frozenset().union(*hits)) > 1


def judge_row(row: Row) -> None:
    """A row's messages lead to its code, and the near one does not, though it has the same words."""
    for text in row.texts:
        assert row.code in match_codes(text), text
    assert row.code not in match_codes(row.near), row.near
    near = _words(row.near)
    assert any(len(_words(text) & near) >= _SHARED * len(_words(text)) for text in row.texts), row.near


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", plain(text)))
