"""Which units go to one pod."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hostdev.binding.state import By
from hostdev.offer.pool import Pool
from hostdev.offer.prefer import prefer_units
from tests.hostdev.gate.build import machine
from tests.hostdev.offer.offers import CARD, card, entry, offered

PLACES = {1: (0, "pci0000:00"), 2: (0, "pci0000:40"), 3: (0, "pci0000:40"), 4: (1, "pci0000:80"), 5: (1, "pci0000:80")}
"""Of each card, by its bus, the NUMA node and the host bridge."""


def pool() -> Pool:
    cards = [one for bus, (numa, root) in PLACES.items() for one in card(bus, bus, numa=numa, root=root)]
    return offered(machine(*cards), entry(CARD, class_name="vga")).of(By.PLUGIN)[CARD]


POOL = pool()
BUS = {one.id: one.unit.primary.bus for one in POOL.units if one.unit}
ID = {bus: id_ for id_, bus in BUS.items()}


def chosen(size: int, available: tuple[int, ...] = tuple(PLACES), must: tuple[int, ...] = ()) -> list[int]:
    """The buses of what is preferred."""
    found = prefer_units(POOL, [ID[bus] for bus in available], [ID[bus] for bus in must], size)
    return [BUS[one] for one in found]


def test_one_of_one() -> None:
    assert chosen(1, (3,)) == [3]


def test_one_node_and_one_host_bridge_where_they_are_enough() -> None:
    assert chosen(2) == [4, 5]
    assert chosen(2, (1, 2, 3)) == [2, 3]
    assert chosen(3) == [1, 2, 3]


def test_the_smallest_room_is_used_first() -> None:
    assert chosen(1) == [4]
    assert chosen(1, (1, 2, 3)) == [1]


def test_what_is_more_than_a_node_has_is_spread_least() -> None:
    assert chosen(4) == [1, 2, 3, 4]


def test_the_rest_is_near_what_must_be_there() -> None:
    assert chosen(2, must=(2,)) == [2, 3]
    assert chosen(2, (1, 2, 4, 5), must=(2,)) == [1, 2]


def test_what_cannot_be_given_is_preferred_last() -> None:
    units = tuple(one._replace(unit=one.unit and one.unit._replace(blockers=("x",))) for one in POOL.units[:3])
    broken = Pool(CARD, POOL.entry, (*units, *POOL.units[3:]))

    assert prefer_units(broken, [ID[3], ID[5]], [], 1) == (ID[5],)
    assert prefer_units(broken, [ID[3], ID[5]], [], 2) == (ID[3], ID[5])


IDS = st.lists(st.sampled_from([*ID.values(), "foreign", "of another plugin"]), max_size=7)


@given(available=IDS, must=IDS, size=st.integers(-1, 8), random=st.randoms(use_true_random=False))
def test_any_question_has_an_answer_of_what_is_available(
    available: list[str], must: list[str], size: int, random: object
) -> None:
    found = prefer_units(POOL, available, must, size)

    assert set(found) <= set(available)
    assert len(found) == len(set(found)) == max(0, min(size, len(set(available))))
    kept = set(must) & set(available)
    assert kept <= set(found) or set(found) <= kept
    shuffled = list(available)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert prefer_units(POOL, shuffled, must[::-1], size) == found or len(kept) > size
