"""More than one look: trouble is confirmed, counters are compared, and pauses grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from domxml.source import HostDevice
from hostdev.vitals.signs import Signs, Verdict, Vital

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
UNCORRECTED = ("nonfatal", "fatal")


def next_pause(last: float) -> float:
    """Seconds until the next look, more each time."""
    return min(max(FIRST_PAUSE, last * 2), LONGEST_PAUSE)


def confirm(first: Sequence[Vital], second: Sequence[Vital]) -> tuple[Vital, ...]:
    """The later verdicts; trouble only where it was seen both times, else what there would be without it."""
    codes = {vital.signs.device: {finding.code for finding in vital.findings} for vital in first}
    return tuple(_lasting(vital, codes.get(vital.signs.device, set())) for vital in second)


def _lasting(vital: Vital, before: set[str]) -> Vital:
    lasting = tuple(finding for finding in vital.findings if finding.code in before)
    if vital.verdict is not Verdict.TROUBLE or lasting:
        why = lasting[0].message if lasting else vital.why
        return vital._replace(findings=lasting, why=why)
    text = f"at the last look alone: {vital.why}; look again"
    return vital._replace(verdict=Verdict.UNKNOWN, why=text, findings=())


def with_rises(signs: Iterable[Signs], before: Iterable[Signs]) -> tuple[Signs, ...]:
    """Note which counters of errors have risen since: what was counted since the boot says nothing of this VM."""
    counted: Mapping[HostDevice, Signs] = {one.device: one for one in before}
    return tuple(one._replace(rises=tuple(_rises(one, counted.get(one.device)))) for one in signs)


def _rises(now: Signs, before: Signs | None) -> Iterator[tuple[str, int]]:
    if before is None or before.held.since != now.held.since:
        return
    counts, counts_before = now.health.errors, before.health.errors
    if counts is None or counts_before is None:
        return
    earlier = dict(before.rises)
    for name in UNCORRECTED:
        more = counts.get(name, 0) - counts_before.get(name, 0)
        # What rose once stays told for as long as this VM has the device.
        total = max(more, 0) + earlier.get(name, 0)
        if total:
            yield name, total
