"""Amounts as Kubernetes writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.jsonutil import MOST, parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1", 1),
        ("+3", 3),
        ("2k", 2000),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1E", 10**18),
        ("1.5e2", 150),
        ("15e-1", 2),
        ("500m", 1),
        ("2000m", 2),
        ("1n", 1),
        ("0.5", 1),
        (".5Ki", 512),
        ("5.", 5),
        ("4Gi", 4 << 30),
        ("1.5Gi", 3 << 29),
        ("128M", 128_000_000),
        (str(MOST), MOST),
    ],
)
def test_it_reads_what_kubernetes_writes(text: str, amount: int) -> None:
    assert parse_quantity(text) == amount


@pytest.mark.parametrize(
    "text", ["", "+", ".", "-1", "1 ", "1kb", "1KI", "Gi", "e3", "0x10", "1e", "1e1000", "\uff11", "two"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", [str(MOST + 1), "9e30", "8Ei", "1e99", "1" * 30])
def test_what_kubernetes_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is too large"):
        parse_quantity(text)


def test_a_scale_keeps_what_rounding_would_lose() -> None:
    assert parse_quantity("3500m", scale=1000) == 3500
    assert parse_quantity("4", scale=1000) == 4000


@given(st.integers(0, 1 << 20), st.sampled_from(["Ki", "Mi", "Gi"]))
def test_a_binary_amount_is_that_many(count: int, suffix: str) -> None:
    assert parse_quantity(f"{count}{suffix}") == count << {"Ki": 10, "Mi": 20, "Gi": 30}[suffix]
