"""All channels together: one allocation a device, and whatever the channels do not agree upon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from domxml.finding import Finding
from domxml.text import listed, printable
from hostdev.allocation.allocation import (
    ALLOCATION_FILE,
    ENVIRONMENT,
    Allocation,
    Device,
    Gathered,
    channel_of,
    trust,
    unite,
)
from hostdev.findings.allocation import CHANNELS_DISAGREE, DEVICE_IN_TWO_RESOURCES


def merge(*gathered: Gathered) -> Gathered:
    """Join by device: every source is kept, the most trusted tells the rest; the devices of a list keep its order."""
    # In whichever order the channels come, the outcome is the same.
    told = sorted(gathered, key=repr)
    allocations = [allocation for one in told for allocation in one.allocations]
    joined = unite(sorted(allocations, key=_foremost))
    findings = [finding for one in told for finding in one.findings]
    findings += [*_twice_given(allocations), *_disagreements(joined)]
    grants = {resource: count for one in told for resource, count in one.grants.items()}
    looked_at = tuple(words for one in gathered for words in one.looked_at)
    return Gathered(tuple(joined), _each_once(findings), looked_at, grants)


def _foremost(allocation: Allocation) -> tuple[int, tuple[object, ...]]:
    """Sort key: how far the best source of an allocation is trusted."""
    return trust(allocation.told_by[0] if allocation.told_by else "")


def _twice_given(allocations: Sequence[Allocation]) -> Iterator[Finding]:
    resources: dict[Device, dict[str, str]] = {}
    for allocation in sorted(allocations, key=_foremost):
        if allocation.resource:
            where = allocation.told_by[0] if allocation.told_by else "unknown"
            resources.setdefault(allocation.device, {}).setdefault(allocation.resource, where)
    for device, found in resources.items():
        if len(found) > 1:
            text = "is in " + listed(f"{resource} ({where})" for resource, where in found.items())
            yield DEVICE_IN_TWO_RESOURCES.found(str(device), text)


def _disagreements(allocations: Sequence[Allocation]) -> Iterator[Finding]:
    """Only these two channels tell all devices of a resource; the others may know some of them."""
    told: dict[str, dict[str, set[Device]]] = {}
    for allocation in allocations:
        what = allocation.resource or allocation.family or allocation.label
        for channel in {channel_of(source) for source in allocation.told_by}:
            told.setdefault(what, {}).setdefault(channel, set()).add(allocation.device)
    for what, channels in told.items():
        file, own = channels.get(ALLOCATION_FILE), channels.get(ENVIRONMENT)
        if file and own and file != own:
            text = f"the {ALLOCATION_FILE} names {_shown(file)}, the {ENVIRONMENT} {_shown(own)}"
            yield CHANNELS_DISAGREE.found(printable(what), text)


def _shown(devices: Iterable[Device]) -> str:
    return listed(sorted(map(str, devices)))


def _each_once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Two channels may tell the same; the worst comes first."""
    once: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        once.setdefault((finding.code, finding.subject, finding.message), finding)
    return tuple(sorted(once.values(), key=lambda finding: (-finding.severity.rank, finding)))
