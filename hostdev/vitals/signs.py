"""The picture of one device from which a verdict is made."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from domxml.finding import Evidence, Finding
from domxml.source import HostDevice
from hostdev.holders.claim import Claim
from hostdev.inventory.health import Health
from hostdev.inventory.interrupts import Vectors
from hostdev.inventory.kernellog import KernelLog
from hostdev.inventory.machine import PciFunction
from hostdev.vitals.boottime import Boot
from hostdev.vitals.guestview import GuestView


class Verdict(StrEnum):
    """What becomes of a device in a VM."""

    ARRIVED = "arrived"
    NOT_YET = "not yet"
    NO_SIGN = "no sign"
    TROUBLE = "trouble"
    NOT_HELD = "not held"
    UNKNOWN = "unknown"


class Held(NamedTuple):
    """Who has a device open, and since when."""

    claims: tuple[Claim, ...] = ()
    """The best source first."""
    complete: bool = True
    """Whether all that could have it open was looked at."""
    since: float | None = None
    """In seconds since the boot; None where it is not known."""
    memory: int | None = None
    """Bytes that are pinned for it."""


class Signs(NamedTuple):
    """All that the host shows of one device at one moment."""

    device: HostDevice
    now: float
    """In seconds since the boot."""
    function: PciFunction | None
    """Of a mediated device its parent; None where there is none."""
    held: Held
    health: Health
    vectors: Vectors | None
    """None: neither the table of interrupts nor sysfs is to be seen."""
    log: KernelLog
    boot: Boot
    gate: tuple[Finding, ...] = ()
    """What is wrong with its driver and its group."""
    model: tuple[Finding, ...] = ()
    """What is known of its model."""
    guest: GuestView | None = None
    """As libvirt shows it, where it was asked."""
    rises: tuple[tuple[str, int], ...] = ()
    """Errors counted since an earlier look, by severity."""

    @property
    def mediated(self) -> bool:
        return self.function is None or self.function.address != self.device

    @property
    def age(self) -> float | None:
        """Seconds for which it has been open."""
        return None if self.held.since is None else max(0.0, self.now - self.held.since)


class Vital(NamedTuple):
    """The verdict about one device, and what it rests on."""

    signs: Signs
    verdict: Verdict
    why: str
    fine: str = ""
    """Why there being no sign may be as it should be."""
    evidence: tuple[Evidence, ...] = ()
    unknown: tuple[str, ...] = ()
    """What could not be seen, in sentences."""
    findings: tuple[Finding, ...] = ()
