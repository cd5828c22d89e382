"""What a NodeState offers, as `passgate node state` shows it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.drift import Drift
from hostdev.binding.effects import Outcome
from hostdev.binding.reconcile import Change, as_awaited, makes_vfs
from hostdev.binding.state import By, NodeState, OfferEntry
from hostdev.binding.status import Line, Standing
from hostdev.claims.devices import Device, device_name, make_inventory
from hostdev.cli import changes
from hostdev.cli.node.listing import ALIKE
from hostdev.cli.node.units import other_functions
from hostdev.findings.offer import CLAIMS_NOT_SERVED
from hostdev.holders.kubelet import DEFAULT as KUBELET
from hostdev.kubelet.directory import dra_sockets
from hostdev.kubelet.resourcename import DRIVER
from hostdev.offer.pool import Offer, OfferedUnit, Pool, Remark
from hostdev.printing.cells import Cell, Column, Fit, Tone, dash
from hostdev.printing.documents import Document
from hostdev.printing.screen import Screen

TABLE = (Column("RESOURCE"), Column("UNIT"), Column("WITH", Fit.CUT), Column("NUMA"), Column("READY", Fit.WRAP, 22))


class _Row(NamedTuple):
    """A unit, and how many VFs beside it are alike."""

    pool: Pool
    one: OfferedUnit
    is_listed: bool
    more: int = 0


def findings_of(offer: Offer, planned: Iterable[Change]) -> tuple[Finding, ...]:
    """What is to be said of an offer; an entry that means nothing yet may mean the VFs that are planned."""
    come = makes_vfs(item for change in planned for item in change.items)
    return tuple(as_awaited(finding) if come else finding for finding in offer.findings)


def remarks_of_claims(state: NodeState, host: str) -> tuple[Remark, ...]:
    """What is to be said of entries by claim on a node without their driver; of a recording it is not known."""
    places = tuple(entry.place for entry in state.offers if entry.by is By.CLAIM)
    directory = os.path.join(host, KUBELET)  # noqa: PTH118
    # Unlike Path.is_dir this does not raise where it may not look.
    if not places or not os.path.isdir(directory) or dra_sockets(directory, DRIVER):  # noqa: PTH112
        return ()
    what = f"{listed(places)}: offered by claim, and {DRIVER} has no socket below {directory}"
    return (Remark(places, CLAIMS_NOT_SERVED.found(places[0], what)),)


def is_refused(findings: Iterable[Finding]) -> bool:
    """Whether something is offered otherwise than the state asks for."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def show_offer(screen: Screen, offer: Offer, findings: Sequence[Finding], planned: Iterable[Change]) -> None:
    """Print the units of each resource, and what keeps them from VMs."""
    due = {device for one in planned if one.effects.outcome == Outcome.PLANNED for device in one.devices}
    rows = [row for pool in offer.pools for row in _folded(offer, pool)]
    if rows:
        screen.table(TABLE, [_cells(row, due) for row in rows])
    sharing = Counter(one.resource for one in make_inventory(offer).devices if one.consumes)
    for pool in offer.pools:
        screen.line(_summary(pool, sharing[pool.resource] if pool.by is By.CLAIM else 0))
    if offer.pools and not findings:
        screen.line()
    changes.show_findings(screen, findings)


def _folded(offer: Offer, pool: Pool) -> Iterator[_Row]:
    """VFs of one PF that are alike become one row."""
    alike: dict[object, list[_Row]] = {}
    for is_listed, units in ((True, pool.units), (False, pool.excluded)):
        for one in units:
            pf = offer.machine.functions[one.unit.primary].physfn if one.unit else None
            key: object = one.id if pf is None else (pf, is_listed, one.blockers, one.numa_node)
            alike.setdefault(key, []).append(_Row(pool, one, is_listed))
    for same in alike.values():
        yield from [same[0]._replace(more=len(same) - 1)] if len(same) >= ALIKE else same


def _cells(row: _Row, due: Collection[PciAddress]) -> tuple[Cell | str, ...]:
    unit = row.one.unit
    primary = str(unit.primary) if unit else row.one.id
    return (
        row.pool.resource,
        Cell(f"{primary} +{row.more}" if row.more else primary, Tone.STRONG),
        dash(other_functions(unit) if unit else ""),
        dash(row.one.numa_node),
        _ready(row, due),
    )


def _ready(row: _Row, due: Collection[PciAddress]) -> Cell:
    if row.one.is_healthy:
        return Cell("yes", Tone.GOOD)
    if not row.is_listed:
        return Cell(f"not offered: {_codes([*(one.code for one in row.one.against), *row.one.blockers])}", Tone.BAD)
    # What the plan changes is judged again when it is done.
    changing = row.one.unit is not None and any(address in due for address in row.one.unit.functions)
    codes = _codes(row.one.blockers)
    return Cell(f"not yet: {codes}", Tone.WARN) if changing else Cell(f"no: {codes}", Tone.BAD)


def _codes(codes: Iterable[str]) -> str:
    first, *others = dict.fromkeys(codes)
    return f"{first} (+{len(others)})" if others else first


def _summary(pool: Pool, sharing: int) -> str:
    ready = sum(one.is_healthy for one in pool.units)
    limit = f"; {pool.spare} more are over its limit" if pool.spare else ""
    sets = f"; sets: {listed((one.name for one in pool.sets), 8)}" if pool.sets else ""
    by = ", by claim" if pool.by is By.CLAIM else ""
    shared = f"; sharing with others, which counters exclude: {sharing}" if sharing else ""
    return f"{pool.resource}{by}: {ready} of {len(pool.units)} units are ready{limit}{shared}{sets}"


def offer_document(offer: Offer) -> list[Document]:
    """The JSON form; its keys are a contract."""
    devices = make_inventory(offer).by_name
    return [
        {
            "resource": pool.resource,
            "by": str(pool.by),
            "entry": pool.entry and pool.entry.place,
            "unit": pool.entry and pool.entry.unit and str(pool.entry.unit),
            "limit": pool.entry and pool.entry.limit,
            "overLimit": pool.spare,
            "units": [unit_document(one) | _device(pool, one, devices) for one in pool.units],
            "excluded": [unit_document(one) for one in pool.excluded],
            "sets": [{"name": one.name, "whole": one.is_whole, "units": sorted(one.ids)} for one in pool.sets],
        }
        for pool in offer.pools
    ]


def _device(pool: Pool, one: OfferedUnit, devices: Mapping[str, Device]) -> Document:
    """What a claim is given, if it is in a slice, and by which counters it excludes others."""
    device = devices.get(device_name(one.id, pool.resource)) if pool.by is By.CLAIM else None
    takes = device.consumes if device else ()
    return {
        "device": device and device.name,
        "counters": [f"{some.counter_set}/{name}" for some in takes for name in some.counters],
    }


def unit_document(one: OfferedUnit) -> Document:
    unit = one.unit
    return {
        "id": one.id,
        "unit": unit and str(unit.kind),
        "functions": list(map(str, unit.functions)) if unit else [],
        "groups": list(unit.groups) if unit else [],
        "numaNode": one.numa_node,
        "ready": one.is_healthy,
        "blockers": list(one.blockers),
        "findings": [finding.as_dict() for finding in one.against],
    }


def offer_lines(state: NodeState, offer: Offer) -> Iterator[Line]:
    """How each entry stands: held where all that it means can be given."""
    pools = {pool.entry.place: pool for pool in offer.pools if pool.entry}
    for entry in state.offers:
        findings = tuple(remark.finding for remark in offer.remarks if entry.place in remark.places)
        yield _line(entry, pools.get(entry.place), findings)


def _line(entry: OfferEntry, pool: Pool | None, findings: tuple[Finding, ...]) -> Line:
    units = (*pool.units, *pool.excluded) if pool else ()
    ready = sum(one.is_healthy for one in units)
    drift = () if ready == len(units) else (Drift("ready units", len(units), ready),)
    standing = Standing.DRIFTED if drift else Standing.HELD
    if is_refused(findings) or pool is None:
        standing = Standing.REFUSED
    return Line(entry.place, None, standing, drift, findings, entry.resource)
