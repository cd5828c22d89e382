"""Several words about one device become one allocation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hostdev.allocation.channels import trust
from hostdev.allocation.values import Allocation, Device


def by_device(allocations: Iterable[Allocation]) -> list[Allocation]:
    """One allocation a device, in the order in which the devices first appear; who comes first is believed first."""
    said: dict[Device, list[Allocation]] = {}
    for allocation in allocations:
        said.setdefault(allocation.device, []).append(allocation)
    return [_united(words) for words in said.values()]


def _united(said: Sequence[Allocation]) -> Allocation:
    """Each field from the first who knows it."""
    sources = sorted({source for one in said for source in one.sources}, key=trust)
    return Allocation(
        said[0].device,
        resource=_first(one.resource for one in said),
        label=_first(one.label for one in said if one.resource) or _first(one.label for one in said),
        name=_first(one.name for one in said),
        sources=tuple(sources),
        family=_first(one.family for one in said),
    )


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
