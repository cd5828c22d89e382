"""The topology manager, for devices: which NUMA nodes a container's resources should come from."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

POLICIES = NONE, BEST_EFFORT, SINGLE = "none", "best-effort", "single-numa-node"
Mask: TypeAlias = frozenset[int]
Topology: TypeAlias = Mapping[str, tuple[int, ...]]
"""The NUMA nodes of each device that has told any."""


class Hint(NamedTuple):
    """Nodes that can serve a request; preferred where no smaller set can."""

    nodes: Mask | None
    preferred: bool


class Demand(NamedTuple):
    """What a container wants of one resource, and what there is."""

    number: int
    topology: Topology
    healthy: Collection[str]
    available: Collection[str]


def hints(demand: Demand, nodes: Collection[int]) -> Sequence[Hint] | None:
    """None where no device of the resource has a topology; nodes that the machine has not count as none."""
    if not demand.topology:
        return None
    masks = [
        frozenset(mask) for size in range(1, len(nodes) + 1) for mask in itertools.combinations(sorted(nodes), size)
    ]
    fitting = [mask for mask in masks if _count(demand.available, demand.topology, mask) >= demand.number]
    ever = [len(mask) for mask in masks if _count(demand.healthy, demand.topology, mask) >= demand.number]
    return [Hint(mask, len(mask) == min(ever)) for mask in fitting]


def affinity(demands: Iterable[Demand], nodes: Collection[int], policy: str) -> Hint:
    """Where the container should get its devices; preferred says whether every resource agrees."""
    everything = frozenset(nodes)
    offered = [
        [Hint(None, True)] if found is None else found or [Hint(None, False)]
        for found in (hints(demand, nodes) for demand in demands)
    ]
    if policy == SINGLE:
        offered = [[hint for hint in one if hint.nodes is None or len(hint.nodes) == 1] for one in offered]
    best = Hint(everything, False)
    for combination in itertools.product(*offered):
        masks = [hint.nodes for hint in combination if hint.nodes is not None]
        mask = everything.intersection(*masks)
        merged = Hint(mask, all(hint.preferred for hint in combination))
        if mask and (merged.preferred, -len(mask)) > (best.preferred, -len(best.nodes or ())):
            best = merged
    if policy == SINGLE and best.nodes == everything:
        return Hint(None, best.preferred)
    return best


def _count(devices: Collection[str], topology: Topology, mask: Mask) -> int:
    return sum(bool(mask.intersection(topology.get(device, ()))) for device in devices)
