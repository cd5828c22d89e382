"""Resources: what is wanted in the guest, against what the spec asks kubelet for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from domxml.finding import Finding, Severity
from domxml.text import did_you_mean
from hostdev.findings.matching import ADDRESS_NOT_ALLOCATED
from hostdev.findings.spec import (
    REQUEST_COUNT_MISMATCH,
    RESOURCE_LIMITS_DIFFER,
    RESOURCE_NOT_PASSED,
    RESOURCE_NOT_REQUESTED,
)
from hostdev.lint.view import Asked, View


def wanted_resources(view: View) -> Iterator[Finding]:
    """Each resource of the annotation is asked for, and often enough."""
    for resource in dict.fromkeys(asked.request.resource for asked in view.asked if asked.request.resource):
        entries = [asked for asked in view.asked if asked.request.resource == resource]
        there = view.vmi.asked.get(resource, 0)
        if not there:
            yield _not_requested(view, resource, entries[0])
        yield from _crowded(resource, entries)
        if there:
            yield from _counts(view, resource, entries, there)


def unused_limits(view: View) -> Iterator[Finding]:
    """Resources of the limits that no entry wants in the guest."""
    if view.devices is None or view.devices.errors or any(asked.request.address for asked in view.asked):
        return
    named = {asked.request.resource for asked in view.asked}
    for resource, count in view.vmi.limits.items():
        if count and resource not in named:
            what = f"{_many(count)} of {resource} will be allocated, and passgate.dev/devices does not name it"
            yield RESOURCE_NOT_PASSED.found(_limit(view, resource), what)


def differing(view: View) -> Iterator[Finding]:
    """Requests that Kubernetes does not accept; KubeVirt adds 1 to request and limit for each device of the spec."""
    added = Counter(device.resource for device in view.vmi.devices)
    for resource, count in view.vmi.requests.items():
        limit = view.vmi.limits.get(resource)
        if limit == count or not count:
            continue
        place = view.vmi.at(f"spec.domain.resources.requests[{resource}]")
        there = "there is no limit" if limit is None else f"the limit {limit}"
        if added[resource]:
            total = (limit or 0) + added[resource]
            what = f"{resource}: with the spec's devices the request is {count + added[resource]}, the limit {total}"
            hint = "take it out of requests: the devices of the spec ask for themselves"
            yield RESOURCE_LIMITS_DIFFER.found(place, what, hint=hint)
        else:
            yield RESOURCE_LIMITS_DIFFER.found(place, f"{resource}: the request is {count}, {there}")


def outright(view: View) -> Iterator[Finding]:
    """A host device by its address, and nothing that could give the pod access to it."""
    if view.vmi.asked or view.elsewhere or any(device.claim for device in view.vmi.devices):
        return
    for asked in view.asked:
        if asked.request.address is not None:
            what = f"the VM asks kubelet for no device at all, so that its pod has no access to {asked.request.address}"
            yield ADDRESS_NOT_ALLOCATED.found(f"{asked.place}.address", what)


def _not_requested(view: View, resource: str, asked: Asked) -> Finding:
    maybe = view.elsewhere
    what = f"nothing in the spec asks kubelet for {resource}" + (f"; maybe {maybe} does" if maybe else "")
    known, limits = view.vmi.asked, view.vmi.at("spec.domain.resources.limits")
    add = f'add {resource}: "{asked.least}" to {limits}'
    severity = Severity.WARNING if maybe else None
    hint = f"{add} ({did_you_mean(resource, known)})" if known else add
    return RESOURCE_NOT_REQUESTED.found(f"{asked.place}.resource", what, severity=severity, hint=hint)


def _crowded(resource: str, entries: Sequence[Asked]) -> Iterator[Finding]:
    """An entry that takes all leaves nothing to the next one."""
    for asked in entries:
        if asked.takes_all and len(entries) > 1:
            other = next(entry for entry in entries if entry is not asked)
            what = f"takes every device of {resource}, of which {other.place} wants some too"
            yield REQUEST_COUNT_MISMATCH.found(asked.place, what, hint="write `count` in both entries")
            return


def _counts(view: View, resource: str, entries: Sequence[Asked], there: int) -> Iterator[Finding]:
    least = sum(asked.least for asked in entries)
    place = entries[0].place
    what = f"{_many(least)} of {resource} wanted, the spec asks kubelet for {there}"
    maybe = view.elsewhere
    if least > there:
        yield REQUEST_COUNT_MISMATCH.found(place, what, severity=Severity.WARNING if maybe else None)
    elif least < there and not any(asked.takes_all for asked in entries):
        yield REQUEST_COUNT_MISMATCH.found(place, f"{what}; the rest stays unused", severity=Severity.WARNING)


def _limit(view: View, resource: str) -> str:
    return view.vmi.at(f"spec.domain.resources.limits[{resource}]")


def _many(count: int) -> str:
    return f"{count} device{'' if count == 1 else 's'}"


RULES = (wanted_resources, unused_limits, differing, outright)
