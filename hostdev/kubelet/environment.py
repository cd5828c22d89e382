"""What the grants of one container put into its environment, without losing what kubelet loses when names clash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import NamedTuple

from hostdev.allocation.dialects import dialects_of, variable_number
from hostdev.allocation.env_file import can_be_written
from hostdev.kubelet.checkpoint import Grant


class Environment(NamedTuple):
    """The variables, and those that there is no room for."""

    variables: dict[str, str]
    lost: tuple[str, ...]
    resources: dict[str, tuple[str, ...]]
    """By variable, the resources whose plugins set it."""


def environment(grants: Iterable[Grant]) -> Environment:
    """Join the variables of all resources of one container.

    Two resources of one plugin may both start at QAT0; of these kubelet keeps one, at random. A number means nothing
    by itself, so the second one gets the next that is free.
    """
    variables: dict[str, str] = {}
    resources: dict[str, tuple[str, ...]] = {}
    lost: list[str] = []
    told = _told(grants)
    taken = {name for name, _ in told}
    for (name, value), whose in told.items():
        if not can_be_written(name, value):
            lost.append(name)
        elif variables.setdefault(name, value) == value:
            resources[name] = whose
        elif not _numbered(name):
            lost.append(name)
    for (name, value), whose in told.items():
        if name in variables and variables[name] != value and _numbered(name):
            free = next(other for other in _others(name) if other not in taken)
            taken.add(free)
            variables[free], resources[free] = value, whose
    return Environment(dict(sorted(variables.items())), tuple(dict.fromkeys(lost)), resources)


def _told(grants: Iterable[Grant]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Each variable with a value, in the order of the names, and the resources of which it was told."""
    told: dict[tuple[str, str], list[str]] = {}
    for grant in sorted(grants, key=lambda grant: grant.resource):
        for pair in grant.environment:
            told.setdefault(pair, []).append(grant.resource)
    return {pair: tuple(dict.fromkeys(told[pair])) for pair in sorted(told)}


def _numbered(name: str) -> bool:
    return any(row.numbered for row in dialects_of(name))


def _others(name: str) -> Iterator[str]:
    """QAT1, QAT2 and so on, for QAT0."""
    row = next(row for row in dialects_of(name) if row.numbered)
    return (f"{row.starts[0]}{number}" for number in count(variable_number(name, row) + 1))
