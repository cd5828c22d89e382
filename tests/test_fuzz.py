"""Damaged documents: each is read, or refused in words, and soon. `python -m tests.fuzz` goes on for hours."""

from __future__ import annotations

import pytest

from tests.fuzz import TARGETS, document, try_documents

COUNT = 400


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_documents_are_read_or_refused(target: str) -> None:
    assert [str(found) for found in try_documents(target, 0, COUNT)] == []


@pytest.mark.parametrize("target", TARGETS)
def test_a_number_always_makes_the_same_document(target: str) -> None:
    made = [document(target, number) for number in range(20)]

    assert made == [document(target, number) for number in range(20)]
    assert len(set(made)) > 10


def test_what_breaks_a_reader_is_found() -> None:
    assert len({document("domain", number) for number in range(50)} - set(TARGETS["domain"].seeds())) > 40
