"""Tables of rules: messages as programs write them, and near ones of the same words that a rule must not take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from hostdev.explain.text import plain
from hostdev.explain.wording import Wording, make_wording
from hostdev.findings.rule import Rule
from hostdev.findings.rules import FAMILIES
from tests.hostdev.texts import match_codes


def _rules_of(*families: str) -> tuple[Rule, ...]:
    return tuple(rule for family in families for rule in FAMILIES[family])


RULES_OF_START = _rules_of("memory and DMA", "start of a domain", "cloud-init")
RULES_OF_HARDWARE = _rules_of("mediated devices", "hardware", "room for memory")
RULES_OF_CLUSTER = _rules_of("VFs", "networks", "kubelet", "guest", "noise")
"""Each has a test with its table."""
UUID = "7ece9ff1-b292-474e-aaf4-58e863ae2053"
FROM_GROUP = "kvm: -device vfio-pci,id=hostpci0: vfio {}: error getting device from group 64: {}"
OLD_FROM_GROUP = "kvm: vfio: error getting device {} from group 64: {}"
"""What QEMU says of one device, now and formerly."""
_SHARED = 0.5
"""As many of a message's words a near one has at least."""


class Row(NamedTuple):
    """A rule's messages, by its code and its conditions."""

    code: str
    texts: tuple[str, ...]
    near: str
    when: tuple[str, ...] = ()


def lacking(rules: Iterable[Rule], rows: Iterable[Row]) -> list[str]:
    """The rules without a row of two messages and two wordings."""
    table = list(rows)
    return [f"{rule.code}: {rule.words[0]}" for rule in rules if not any(_proves(row, rule) for row in table)]


def _proves(row: Row, rule: Rule) -> bool:
    if (row.code, row.when) != (rule.code, tuple(condition.key for condition in rule.when)):
        return False
    hits = [wordings_in(text, rule) for text in row.texts]
    return len(row.texts) > 1 and all(hits) and len(frozenset().union(*hits)) > 1


def wordings_in(text: str, rule: Rule) -> frozenset[Wording]:
    """The wordings of a rule that a message has."""
    return frozenset(one for one in map(make_wording, rule.words) if one.find(plain(text)))


def judge_row(row: Row, *, as_root: bool = False) -> None:
    """A row's messages lead to its code, before all others where asked, and the near one of the same words does not."""
    for text in row.texts:
        codes = match_codes(text)
        assert row.code in (codes[:1] if as_root else codes), text
    assert row.code not in match_codes(row.near), row.near
    near = _words(row.near)
    assert any(len(_words(text) & near) >= _SHARED * len(_words(text)) for text in row.texts), row.near


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", plain(text)))
