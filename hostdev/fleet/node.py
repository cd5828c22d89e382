"""A node of a fleet as a value: its snapshot's machine, when it was taken, its units and what is not known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.findings.fleet import SNAPSHOT_AGE_UNKNOWN, SNAPSHOT_PARTIAL, SNAPSHOT_STALE
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.holders.processes import enabled_claims
from hostdev.inventory.functions import DEVICES
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine, Use
from hostdev.inventory.recorded.recording import UNKNOWN_ORIGIN, Origin
from hostdev.inventory.vfiodrivers import is_on_vfio
from hostdev.units.compose import compose_units
from hostdev.units.unit import Unit

NEVER = frozenset(
    {
        *("device-missing", "domain-too-large", "not-an-endpoint", "platform-device", "host-root-disk"),
        *("no-iommu", "iommu-disabled", "no-interrupt-remapping", "no-iommu-group", "noiommu-group"),
        *("reserved-region", "vf-without-group"),
    }
)
"""What no binding changes: hardware, firmware, a boot with other parameters, or the disk that the host runs from."""


class State(StrEnum):
    """What can be said of a unit."""

    READY = "ready"
    HELD = "held"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Node:
    """One node, as its snapshot shows it; what takes time is made when it is asked for."""

    name: str
    machine: Machine
    origin: Origin = UNKNOWN_ORIGIN
    held: Mapping[PciAddress, str] = field(default_factory=dict)
    """Functions on a vfio driver that are enabled, which they are for as long as a process has them open."""
    uncounted: frozenset[PciAddress] = frozenset()
    """Functions with a driver of which nothing tells that: snapshots of 0.1.0 do not."""

    @property
    def taken(self) -> datetime | None:
        """When; None where the snapshot does not say, or says something that is no time."""
        try:
            return datetime.strptime(self.origin.taken, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            return None

    def age(self, now: datetime) -> timedelta | None:
        """How old it is; None where that is not known: a time to come is none."""
        taken = self.taken
        return None if taken is None or taken > now + _CLOCKS_DIFFER else max(now - taken, timedelta())

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """What can be given to one VM as a whole."""
        return compose_units(self.machine)

    def holders_of(self, unit: Unit) -> tuple[str, ...]:
        """What tells that its functions are open, by their order."""
        return tuple(dict.fromkeys(self.held[one] for one in unit.functions if one in self.held))

    def state_of(self, unit: Unit) -> State:
        """Ready is free as well: nothing has it open, and that is seen."""
        if self.holders_of(unit):
            return State.HELD
        if unit.ready:
            return State.UNKNOWN if self.uncounted.intersection(unit.functions) else State.READY
        return State.UNKNOWN if set(unit.blockers) == {HOST_UNREADABLE.code} else State.BLOCKED

    @property
    def states(self) -> Mapping[State, int]:
        """How many units are in each state."""
        return Counter(map(self.state_of, self.units))

    @property
    def blockers(self) -> Mapping[str, int]:
        """The codes that keep units from VMs, and how many units each."""
        return Counter(code for unit in self.units for code in set(unit.blockers))

    def findings(self, now: datetime, max_age: timedelta | None) -> Iterator[Finding]:
        """What is to be said of the snapshot itself."""
        age = self.age(now)
        if age is None:
            told = self.origin.taken
            yield SNAPSHOT_AGE_UNKNOWN.found(
                self.name, f"says it was taken at {told!r}" if told else "does not say when it was taken"
            )
        elif max_age is not None and age > max_age:
            yield SNAPSHOT_STALE.found(self.name, f"is {describe_age(age)} old, taken {self.origin.taken}")
        if self.unseen:
            yield SNAPSHOT_PARTIAL.found(self.name, f"not seen: {listed([what for what, _ in self.unseen], 4)}")

    @cached_property
    def unseen(self) -> tuple[tuple[str, str], ...]:
        """What the snapshot could not look at, and why, or of how many devices."""
        unknown = Counter(
            sign.what
            for unit in self.units
            for address in unit.functions
            if self.machine.functions[address].use.value is Use.UNKNOWN
            for sign in self.machine.functions[address].use.unknown[:1]
        )
        if self.uncounted:
            unknown[_OPEN] = len(self.uncounted)
        return (*self.machine.unread, *((what, f"{count} devices") for what, count in sorted(unknown.items())))


_CLOCKS_DIFFER = timedelta(minutes=5)


_OPEN = "whether something has them open"


def find_held(host: Host, machine: Machine) -> dict[PciAddress, str]:
    """The functions that something has open, as far as the kernel's own count tells, and what tells it."""
    claims = ((one.address, enabled_claims(host, one)) for one in machine.functions.values())
    return {address: found[0].where for address, found in claims if found}


def find_uncounted(host: Host, machine: Machine) -> frozenset[PciAddress]:
    """The functions that a VM may have, and of which the count is not there; what has no driver nothing has open."""
    return frozenset(
        one.address
        for one in machine.functions.values()
        if (is_on_vfio(one) and host.read(f"{DEVICES}/{one.address}/enable", quiet=True) is None)
        or one.vendor_vgpu_type
    )


def describe_age(age: timedelta) -> str:
    """In the two largest units that it has, as kubectl does."""
    seconds = int(age.total_seconds())
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 7200:
        return f"{seconds // 60}m"
    return f"{seconds // 3600}h" if seconds < 172800 else f"{seconds // 86400}d"
