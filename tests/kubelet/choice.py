"""Which devices a container gets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from tests.kubelet.dice import Dice
from tests.kubelet.topology import Hint, Topology


class Candidates(NamedTuple):
    """What is chosen from."""

    resource: str
    number: int
    reusable: Collection[str]
    """Of this pod's init containers; they are taken first."""
    available: frozenset[str]
    topology: Topology
    hint: Hint


Ask = Callable[[Collection[str], Collection[str], int], Collection[str]]
"""The plugin's preference, of what is available, what must be among it, and how many in all."""


class _Chosen:
    def __init__(self, wanted: Candidates, dice: Dice) -> None:
        self.ids: list[str] = []
        self._wanted, self._dice = wanted, dice

    @property
    def needed(self) -> int:
        return self._wanted.number - len(self.ids)

    def take(self, devices: Iterable[str]) -> None:
        """As many as are needed, at random where there are more."""
        free = frozenset(devices) - frozenset(self.ids)
        whole = len(free) <= self.needed
        self.ids += sorted(free) if whole else self._dice.pick(self._wanted.resource, free, self.needed)


def choose(wanted: Candidates, ask: Ask, dice: Dice) -> list[str]:
    """What is aligned comes first, then what the plugin likes, then the rest at random."""
    chosen = _Chosen(wanted, dice)
    chosen.take(wanted.reusable)
    if not chosen.needed:
        return chosen.ids
    available = wanted.available | frozenset(chosen.ids)
    nodes = wanted.hint.nodes
    if not wanted.topology or nodes is None:
        chosen.take(frozenset(ask(available, chosen.ids, wanted.number)) & wanted.available)
        chosen.take(wanted.available)
        return chosen.ids
    aligned = frozenset(one for one in wanted.available if nodes.intersection(wanted.topology.get(one, ())))
    if chosen.needed < len(aligned):
        chosen.take(frozenset(ask(aligned | frozenset(chosen.ids), chosen.ids, wanted.number)) & aligned)
        chosen.take(aligned)
        return chosen.ids
    chosen.take(aligned)
    if chosen.needed:
        chosen.take(frozenset(ask(available, chosen.ids, wanted.number)) & wanted.available)
        chosen.take(one for one in wanted.available if one in wanted.topology)
        chosen.take(wanted.available)
    return chosen.ids
