"""How many VMs fit: the count against trying everything."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.fleet.packing import Bounds, Fits, Kind, Need, count_vms, count_with_sets, kind_of_unit

GPU, NIC, EITHER = frozenset({0}), frozenset({1}), frozenset({0, 1})


def count(units: list[list[Fits]], need: Need) -> Bounds:
    return count_vms(Counter(map(kind_of_unit, units)), need)


def tried(units: tuple[Kind, ...], need: Need) -> int:
    """By trying every choice of units for the next VM."""
    best = 0
    for size in range(1, len(units) + 1):
        for chosen in combinations(range(len(units)), size):
            functions = [fits for number in chosen for fits in units[number]]
            if serves(functions, need):
                rest = tuple(unit for number, unit in enumerate(units) if number not in chosen)
                best = max(best, 1 + tried(rest, need))
    return best


def serves(functions: list[Fits], need: Need) -> bool:
    wanted = [number for number, times in enumerate(need) for _ in range(times)]
    return any(
        all(want in fits for want, fits in zip(wanted, order, strict=True))
        for order in permutations(functions, len(wanted))
    )


@pytest.mark.parametrize(
    ("units", "need", "wanted"),
    [
        ([], (1,), 0),
        ([[GPU]] * 8, (2,), 4),
        ([[GPU]] * 8 + [[NIC]] * 3, (2, 1), 3),
        ([[EITHER]] * 4, (1, 1), 2),
        ([[GPU], [EITHER], [EITHER], [NIC]], (1, 1), 2),
        ([[GPU, GPU]] * 3, (1,), 3),
        ([[GPU, GPU]] * 3, (3,), 1),
        ([[GPU, GPU], [GPU, GPU], [GPU], [GPU]], (3,), 2),
        ([[GPU, NIC]] * 3, (1, 1), 3),
        ([[frozenset[int]()]] * 3, (1,), 0),
    ],
)
def test_what_can_be_counted_is_exact(units: list[list[Fits]], need: Need, wanted: int) -> None:
    assert count(units, need) == Bounds(wanted, wanted)


FITS = st.sampled_from([GPU, NIC, EITHER])
UNITS = st.lists(st.lists(FITS, min_size=1, max_size=2), max_size=5)


@given(UNITS, st.tuples(st.integers(0, 2), st.integers(0, 2)).filter(any))
def test_the_truth_lies_between(units: list[list[Fits]], need: Need) -> None:
    found = count(units, need)

    assert found.least == found.most, "this is small enough to be counted"
    assert found.least == tried(tuple(map(kind_of_unit, units)), need)


def test_what_is_too_much_is_bounded() -> None:
    kinds = [[frozenset({number}), frozenset({(number + 1) % 8})] for number in range(8)]

    found = count(kinds * 40, (3, 5, 2, 7, 1, 4, 6, 2))

    assert 0 <= found.least <= found.most


def tried_sets(free: frozenset[str], sets: list[frozenset[str]], need: int) -> int:
    """By trying every choice of units that breaks no set."""
    best = 0
    for chosen in map(frozenset, combinations(sorted(free), need)):
        whole = frozenset[str]().union(*(one for one in sets if one <= chosen))
        if all(unit in whole or not any(unit in one for one in sets) for unit in chosen):
            best = max(best, 1 + tried_sets(free - chosen, sets, need))
    return best


NAMES = "abcdefg"


@given(
    st.sets(st.sampled_from(NAMES)),
    st.lists(st.sets(st.sampled_from(NAMES), min_size=1, max_size=4), max_size=4),
    st.integers(1, 4),
)
def test_sets_go_as_a_whole(free: set[str], sets: list[set[str]], need: int) -> None:
    """Also where they lie in each other, as the partitions of an NVLink switch do, or are not free."""
    frozen = [frozenset(one) for one in sets]

    found = count_with_sets(free, frozen, need)

    assert found.least == found.most, "this is small enough to be counted"
    assert found.least == tried_sets(frozenset(free), frozen, need)


def test_more_sets_than_can_be_tried_are_bounded() -> None:
    units = [f"{number:03}" for number in range(60)]
    sets = [frozenset(units[start :: step + 1][:5]) for step in range(12) for start in range(12)]

    found = count_with_sets(units, sets, 15)

    assert 0 <= found.least <= found.most <= 4
