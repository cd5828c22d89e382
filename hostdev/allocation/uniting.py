"""Several words about one device become one allocation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hostdev.allocation.channels import trust
from hostdev.allocation.values import Allocation, Device


def by_device(allocations: Iterable[Allocation]) -> list[Allocation]:
    """One allocation a device, in the order in which the devices first appear."""
    said: dict[Device, list[Allocation]] = {}
    for allocation in allocations:
        said.setdefault(allocation.device, []).append(allocation)
    return [_united(words) for words in said.values()]


def foremost(allocation: Allocation) -> tuple[int, tuple[object, ...]]:
    """Sort key: how far the best source of an allocation is trusted."""
    return trust(allocation.sources[0] if allocation.sources else "")


def _united(said: Sequence[Allocation]) -> Allocation:
    """Each field from the most trusted who knows it."""
    ranked = sorted(said, key=lambda one: (foremost(one), one))
    sources = sorted({source for one in said for source in one.sources}, key=trust)
    return Allocation(
        ranked[0].device,
        resource=_first(one.resource for one in ranked),
        label=_first(one.label for one in ranked if one.resource) or _first(one.label for one in ranked),
        name=_first(one.name for one in ranked),
        sources=tuple(sources),
        family=_first(one.family for one in ranked),
    )


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
