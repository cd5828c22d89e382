"""Whether a node can run a VM, and how many of them: yes, never, not now, unknown; each with what says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.state import UnitKind
from hostdev.findings.fleet import NO_FITTING_DEVICE, NODE_NOT_GIVEN, RESOURCE_UNMAPPED, SNAPSHOT_STALE, TOO_FEW_FREE
from hostdev.findings.hostuse import DEVICE_IN_USE
from hostdev.fleet.demand import Demand, Meaning, Want, describe_unknown
from hostdev.fleet.node import Node, State
from hostdev.fleet.nodeobject import Objection, objections
from hostdev.fleet.packing import MOST_WANTS, NONE, Bounds, Kind, count_vms, kind_of_unit
from hostdev.gate.check import platform_findings, together_findings
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
_MOST_TOLD = 4
"""Devices with one and the same trouble that get a finding of their own."""


class Verdict(StrEnum):
    """The answer for one node."""

    YES = "yes"
    NOT_NOW = "notNow"
    NEVER = "never"
    UNKNOWN = "unknown"


class Answer(NamedTuple):
    """The verdict for a node, and how many such VMs it has room for."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    least: int
    most: int | None
    """None: not known."""


class Asked(NamedTuple):
    """What is asked of every node."""

    demand: Demand
    now: datetime
    max_age: timedelta | None
    nodes: Mapping[str, Mapping[str, Any]]
    """Node objects by name."""
    same_numa: bool = False


def place(node: Node, asked: Asked) -> Answer:
    """Judge one node."""
    return _Placement(node, asked).answer


@dataclass(frozen=True)
class _Placement:
    node: Node
    asked: Asked

    @cached_property
    def answer(self) -> Answer:
        objected = self._objections
        if any(not one.passes for one in objected):
            return Answer(Verdict.NEVER, (*(one.finding for one in objected if not one.passes), *self._notes), 0, 0)
        unknown = describe_unknown(self.asked.demand)
        known, free = self._count(None), self._count({State.READY, State.UNKNOWN})
        ready = self._count({State.READY})
        least, most = ready.least, free.most
        against = tuple(one.finding for one in objected)
        notes = (*(RESOURCE_UNMAPPED.found(self.node.name, one) for one in unknown), *self._notes)
        if known.most == 0:
            return Answer(self._without, (*(tuple(self._missing) or (self._apart,)), *against, *notes), 0, 0)
        doubts = tuple(self._obstacles) if least == 0 else ()
        if self._is_stale:
            return Answer(Verdict.UNKNOWN, (*against, *doubts, *notes), 0, None if unknown else known.most)
        if free.most == 0 or against:
            return Answer(Verdict.NOT_NOW, (*against, *doubts, *notes), 0, 0)
        if unknown or least == 0:
            return Answer(Verdict.UNKNOWN, (*doubts, *notes), 0, None if unknown else most)
        return Answer(Verdict.YES, notes, least, most)

    @property
    def _without(self) -> Verdict:
        """The verdict where there are too few: VFs that can be made may be such devices."""
        lacking = [
            want.meaning
            for want, chosen in zip(self._known_wants, self._chosen, strict=True)
            if len(chosen) < want.quantity and want.meaning is not None
        ]
        if any("/bus/pci/devices" in path for path, _ in self.node.machine.unread):
            return Verdict.UNKNOWN
        if not lacking or not all(self._ports(one) for one in lacking):
            return Verdict.NEVER
        return Verdict.NOT_NOW if all(one.are_vfs for one in lacking) else Verdict.UNKNOWN

    def _ports(self, meaning: Meaning) -> list[PciAddress]:
        """The ports that could have more VFs, of those whose VFs may be meant."""
        functions = self.node.machine.functions
        spare = [one for one in functions.values() if (one.total_vfs or 0) > (one.num_vfs or 0)]
        pairs = [(one, functions.get(one.virtfns[0]) if one.virtfns else None) for one in spare]
        return [pf.address for pf, vf in pairs if meaning.port is not None and meaning.port(pf, vf)]

    @property
    def _known_wants(self) -> tuple[Want, ...]:
        return tuple(want for want in self.asked.demand.wants if want.is_known)

    @cached_property
    def _objections(self) -> tuple[Objection, ...]:
        known = self.asked.nodes.get(self.node.name)
        return () if known is None else tuple(objections(known, self.asked.demand))

    @cached_property
    def _notes(self) -> tuple[Finding, ...]:
        """What is to be said of the snapshot, and of what was not looked at."""
        told = tuple(self.node.findings(self.asked.now, self.asked.max_age))
        if self.node.name in self.asked.nodes:
            return told
        return (*told, NODE_NOT_GIVEN.found(self.node.name, "labels, taints, CPU and memory were not looked at"))

    @property
    def _is_stale(self) -> bool:
        return any(one.code == SNAPSHOT_STALE.code for one in self._notes)

    @cached_property
    def _chosen(self) -> tuple[frozenset[PciAddress], ...]:
        """The devices of each want whose meaning is known."""
        wants = self.asked.demand.wants
        return tuple(
            w.meaning.choose(self.node) for w in wants if w.meaning is not None and w.meaning.choose is not None
        )

    @cached_property
    def _need(self) -> tuple[int, ...]:
        return tuple(want.quantity for want in self._known_wants)

    @cached_property
    def _units(self) -> tuple[tuple[Unit, Kind], ...]:
        """The units with a device that is wanted, and what they can do."""
        whole = self.asked.demand.whole_slots
        units = compose_units(self.node.machine, UnitKind.SLOT) if whole else self.node.units
        pairs = ((unit, kind_of_unit([self._fits(one) for one in unit.functions])) for unit in units)
        return tuple((unit, kind) for unit, kind in pairs if kind)

    def _fits(self, address: PciAddress) -> frozenset[int]:
        return frozenset(number for number, chosen in enumerate(self._chosen) if address in chosen)

    def _count(self, states: set[State] | None) -> Bounds:
        """How many VMs the units in these states suffice for; without any, those that could ever be given."""
        need = self._need
        if not need:
            # Nothing that is known is asked of a node's devices.
            return Bounds(1, 1)
        kept = [(unit, kind) for unit, kind in self._units if self._counts(unit, states)]
        if len(need) > MOST_WANTS:
            # Counting with the first of them alone can only say too much.
            return self._limited(Bounds(0, count_vms(Counter(kind for _, kind in kept), need[:MOST_WANTS]).most))
        if not self.asked.same_numa:
            return self._limited(count_vms(Counter(kind for _, kind in kept), need))
        places = {unit.numa_node for unit, _ in kept} - {None}
        total = NONE
        for where in places:
            total += count_vms(Counter(kind for unit, kind in kept if unit.numa_node == where), need)
        if any(unit.numa_node is None for unit, _ in kept):
            total = Bounds(total.least, count_vms(Counter(kind for _, kind in kept), need).most)
        return self._limited(total)

    def _counts(self, unit: Unit, states: set[State] | None) -> bool:
        if states is None:
            return not NEVER.intersection(unit.blockers)
        return self.node.state_of(unit) in states

    def _limited(self, bounds: Bounds) -> Bounds:
        """What an offer keeps back."""
        found = (want.limit_on(self.node) for want in self._known_wants)
        limits = [limit for limit in found if limit is not None]
        return Bounds(min([bounds.least, *limits]), min([bounds.most, *limits]))

    @property
    def _apart(self) -> Finding:
        """Enough devices of each kind, and no way to give them to one VM."""
        limits = list(filter(None, (want.shortage_on(self.node) for want in self._known_wants)))
        where = ", on one NUMA node" if self.asked.same_numa else ""
        what = "; ".join(limits) or f"its units cannot be put together so that one VM has all that it asks for{where}"
        return TOO_FEW_FREE.found(self.node.name, what)

    @property
    def _missing(self) -> Iterator[Finding]:
        """Why the node can never do it: too few devices, or what is wrong with them."""
        for want, chosen in zip(self._known_wants, self._chosen, strict=True):
            fitting = [unit for unit, _ in self._units if chosen.intersection(unit.functions)]
            if len(chosen) < want.quantity:
                there = f"{len(chosen)} of them" if chosen else "none"
                ports = self._ports(want.meaning) if want.meaning is not None else []
                made = f"; VFs that {listed(list(map(str, ports)), 3)} could have may be such devices" if ports else ""
                message = f"the VM asks for {want.quantity} of {want.name}, and the node has {there}{made}"
                yield NO_FITTING_DEVICE.found(self.node.name, message)
            else:
                yield from self._told([unit for unit in fitting if NEVER.intersection(unit.blockers)], NEVER)

    @property
    def _obstacles(self) -> Iterator[Finding]:
        """What keeps fitting units from the VM now."""
        held = [unit for unit, _ in self._units if self.node.state_of(unit) is State.HELD]
        blocked = [unit for unit, _ in self._units if self.node.state_of(unit) is State.BLOCKED]
        unknown = [unit for unit, _ in self._units if self.node.state_of(unit) is State.UNKNOWN]
        ready = len(self._units) - len(held) - len(blocked) - len(unknown)
        words = [
            f"{len(units)} {word}"
            for units, word in ((held, "held"), (blocked, "blocked"), (unknown, "unknown"))
            if units
        ]
        told = f", {', '.join(words)}" if words else ""
        yield TOO_FEW_FREE.found(self.node.name, f"of {len(self._units)} units that fit, {ready} are ready{told}")
        for unit in held[:_MOST_TOLD]:
            who = next(self.node.held[one] for one in unit.functions if one in self.node.held)
            yield DEVICE_IN_USE.found(str(unit.primary), f"something has it open: {who}")
        yield from self._told([*blocked, *unknown], None)

    def _told(self, units: Sequence[Unit], codes: frozenset[str] | None) -> Iterator[Finding]:
        """The gate's findings about units; of many with the same trouble the first ones, and how many more."""
        wanted = {code for unit in units for code in unit.blockers if codes is None or code in codes}
        yield from (one for one in platform_findings(self.node.machine) if one.code in wanted)
        alike: dict[tuple[str, ...], list[Unit]] = {}
        for unit in units:
            alike.setdefault(tuple(code for code in unit.blockers if code in wanted), []).append(unit)
        for same in alike.values():
            findings = [
                found
                for unit in same[:_MOST_TOLD]
                for found in together_findings(self.node.machine, unit.functions)
                if found.code in wanted and found.severity is not Severity.INFO
            ]
            more = len(same) - _MOST_TOLD
            if more > 0 and findings:
                findings[-1] = findings[-1]._replace(message=f"{findings[-1].message} (and so with {more} more)")
            yield from dict.fromkeys(findings)
