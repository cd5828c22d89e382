"""A driver that is killed at any effect: nothing is left that the next process or call does not mend."""

from __future__ import annotations

import pytest

from tests.hooksidecar.claims.killtable import PAGE, Row, observe, renew


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return observe()


def test_whatever_it_leaves_is_mended(rows: list[Row]) -> None:
    assert [row for row in rows if {"NOT MENDED", "HALF OF IT"} & {*row.values()}] == []


def test_it_is_killed_at_every_kind_of_effect_of_every_call(rows: list[Row]) -> None:
    effects = {(row["call"].partition(" ")[0], row["step"].partition(" ")[0]) for row in rows}

    assert effects >= {("Prepare", name) for name in ("mkdir", "open", "write", "fsync", "rename", "ftruncate")}
    assert effects >= {("Unprepare", name) for name in ("unlink", "rmdir", "fsync")}
    assert effects >= {("Publishing", name) for name in ("create", "update", "delete")}
    assert len(rows) > 60


def test_the_page_says_what_was_seen(rows: list[Row]) -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert {f"## {row['call']}" for row in rows} <= set(text.splitlines())
    assert text == renew(text, rows), "run: python -m tests.hooksidecar.claims.killtable"
