"""What kubelet leaves to chance: the order of ids and of resources, and the devices that no plugin prefers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence


class Dice:
    """Chance; a test may give one that falls as it wants."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311  no secret

    def order(self, call: str, resource: str, ids: Iterable[str]) -> list[str]:
        """The ids of a call, in some order."""
        del call, resource
        return self._shuffled(ids)

    def pick(self, resource: str, ids: Iterable[str], number: int) -> Sequence[str]:
        """So many of the ids."""
        del resource
        return self._shuffled(ids)[:number]

    def resources(self, names: Iterable[str]) -> list[str]:
        """The resources of a container, in some order."""
        return self._shuffled(names)

    def _shuffled(self, names: Iterable[str]) -> list[str]:
        shuffled = sorted(names)
        self._random.shuffle(shuffled)
        return shuffled


class Sorted(Dice):
    """No chance at all."""

    def _shuffled(self, names: Iterable[str]) -> list[str]:
        return sorted(names)
