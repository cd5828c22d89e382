"""Two plans of a VM side by side: what moves in the guest, what is new, what is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.kubevirt.vmplan import Item, VmPlan


class Move(NamedTuple):
    """A device that is not where it was; None where one of the two has none."""

    label: str
    was: Item | None
    now: Item | None

    @property
    def moves(self) -> bool:
        """Both have it, in different places or under different names."""
        return self.was is not None and self.now is not None


def compare(one: VmPlan, other: VmPlan) -> tuple[Move, ...]:
    """Every device that differs. The ports that devices sit on are no devices of their own."""
    return tuple(_moves(_labelled(one.items), _labelled(other.items)))


def _labelled(items: Sequence[Item]) -> dict[str, Item]:
    count: Counter[str] = Counter()
    found = {}
    for item in items:
        if item.is_port:
            continue
        count[item.label] += 1
        found[item.label if count[item.label] == 1 else f"{item.label} {count[item.label]}"] = item
    return found


def _moves(was: dict[str, Item], now: dict[str, Item]) -> Iterator[Move]:
    for label, item in was.items():
        there = now.get(label)
        if there is None:
            yield Move(label, item, None)
        elif _place(item) != _place(there):
            yield Move(label, item, there)
    yield from (Move(label, None, item) for label, item in now.items() if label not in was)


def _place(item: Item) -> tuple[PciAddress | None, str]:
    return item.guest, item.name
