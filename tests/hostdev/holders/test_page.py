"""The page about holders says what the tables say."""

from __future__ import annotations

import re

from hostdev.findings.holders import HELD
from hostdev.holders.claim import TRUST, State
from tests.house import ROOT

PAGE = (ROOT / "docs/who.md").read_text()


def _rows(heading: str) -> list[list[str]]:
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    return rows[2:]


def test_sources() -> None:
    assert _rows("Sources") == [
        [f"`{how}`", trust.looks_at, str(trust.proves), trust.fails] for how, trust in TRUST.items()
    ]


def test_states() -> None:
    assert {row[0] for row in _rows("States")} == {f"`{state}`" for state in State}


def test_disagreement() -> None:
    told = {re.sub(r"\[(.*)\].*", r"\1", row[0]) for row in _rows("Disagreement")}

    assert told == {kind.code for kind in HELD} | {"kubelet-disagrees", "offer-record-differs"}
