"""How each entry of a NodeState stands on a node: held, drifted, waiting, refused or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from domxml.finding import Finding, Severity
from hostdev.binding.bootline import Boot, Shortfall, places, shortfalls
from hostdev.binding.drift import Drift, Item
from hostdev.binding.state import NodeState
from hostdev.findings.nodestate import REBOOT_PENDING


class Standing(StrEnum):
    """How far an entry is from what it declares."""

    HELD = "held"
    DRIFTED = "drifted"
    WAITING = "waiting"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Line(NamedTuple):
    """One device of one entry, or one thing declared of the kernel."""

    entry: str
    device: str | None
    standing: Standing
    drift: tuple[Drift, ...] = ()
    findings: tuple[Finding, ...] = ()
    what: str = ""
    """What is declared, where no device is."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; its keys are a contract."""
        return {
            "entry": self.entry,
            "device": self.device,
            "state": str(self.standing),
            "drift": [one._asdict() for one in self.drift],
            "findings": [finding.as_dict() for finding in self.findings],
        }


def kernel_lines(state: NodeState, boot: Boot) -> Iterator[Line]:
    """What is declared of the kernel, each beside what it runs with."""
    missing = {one.place: one for one in shortfalls(state, boot)}
    for place, text in places(state).items():
        short = missing.get(place)
        if short is None:
            yield Line(place, None, Standing.HELD, what=text)
        else:
            standing = Standing.UNKNOWN if short.unknown else Standing.DRIFTED
            drift = Drift(short.what, short.want, short.have, short.configured or None)
            yield Line(place, None, standing, (drift,), (_pending(short),), text)


def standing_of(item: Item, against: Iterable[Finding], held: frozenset[str]) -> Standing:
    """How an item stands; `against` is what a plan to mend it met, `held` the codes that a VM's hold has."""
    errors = [one.code for one in (*item.findings, *against) if one.severity is Severity.ERROR]
    if item.unknown:
        return Standing.UNKNOWN
    if not item.drift and not item.findings:
        return Standing.HELD
    if not errors:
        return Standing.DRIFTED
    return Standing.WAITING if set(errors) <= held else Standing.REFUSED


def _pending(short: Shortfall) -> Finding:
    if short.unknown:
        return REBOOT_PENDING.found(short.what, f"{short.want}: {short.unknown}", severity=Severity.INFO)
    now = f"; now it is {short.have}" if short.have else ""
    if short.configured:
        return REBOOT_PENDING.found(
            short.what, f"{short.want} stands in {short.configured}: reboot pending{now}", hint="reboot the node"
        )
    return REBOOT_PENDING.found(short.what, f"{short.want} is not set: reboot pending once it is{now}")
