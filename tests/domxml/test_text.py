"""Words of our sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.text import did_you_mean, listed, nearest, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("PCI_RESOURCE_X-Y", "PCI_RESOURCE_X-Y"),
        ("a" * 20, "a" * 20),
        ("a" * 21, "a" * 17 + "..."),
        ("\xe4\n\x00\udc80", "\\xe4\\n\\x00\\udc80"),
        ("\n" * 11, "\\n" * 8 + "\\..."),
    ],
)
def test_text_is_short_and_printable(text: str, shown: str) -> None:
    assert printable(text, 20) == shown


@given(st.text(), st.integers(4, 100))
def test_any_text_fits(text: str, limit: int) -> None:
    shown = printable(text, limit)

    assert len(shown) <= limit
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("count", "shown"), [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more"), (9, "0, 1, 2 and 6 more")]
)
def test_a_list_is_cut_after_three(count: int, shown: str) -> None:
    assert listed(range(count)) == shown


def test_a_list_may_be_longer_or_shorter() -> None:
    assert listed("abc", 2) == "a, b and 1 more"
    assert listed("abc", 12) == "a, b, c"


@pytest.mark.parametrize(
    ("word", "otherwise", "hint"),
    [
        ("nod", None, "did you mean node?"),
        ("nod", "ask", "did you mean node?"),
        ("xyzzy", None, "known: node, lint"),
        ("xyzzy", "ask", "ask"),
        ("xyzzy", "", ""),
    ],
)
def test_a_misspelt_word_names_the_nearest(word: str, otherwise: str | None, hint: str) -> None:
    assert did_you_mean(word, iter(("node", "lint")), otherwise) == hint


def test_how_near_is_near() -> None:
    assert nearest("noiommu", ["no-iommu"]) == "no-iommu"
    assert nearest("abxy", ["abcd"]) is None
    assert nearest("abxy", ["abcd"], cutoff=0.5) == "abcd"
