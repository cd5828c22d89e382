"""Whether what is allocated for a claim can be given now, from what is remembered of the node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from domxml.errors import Refused
from domxml.finding import Finding
from hostdev.binding.state import By
from hostdev.claims.claim import AllocatedClaim, Result
from hostdev.claims.devices import device_name
from hostdev.findings.claims import CLAIM_NOT_ALLOCATED, CLAIM_UNIT_UNAVAILABLE
from hostdev.findings.offer import SET_BROKEN
from hostdev.kubelet.claimrecords import ClaimRecord, ClaimRecords, PreparedUnit, by_resource
from hostdev.offer.grant import findings_against, make_grant
from hostdev.offer.pool import Offer, OfferedUnit
from hostdev.offer.sets import broken_sets


class _Named(NamedTuple):
    """A unit that is offered by claim, listed or not."""

    resource: str
    unit: OfferedUnit
    is_listed: bool


def prepare_units(offer: Offer, claim: AllocatedClaim, node: str) -> tuple[PreparedUnit, ...]:
    """The units of a claim; refuses where one cannot be given, or is a part of a set that goes as a whole."""
    units = tuple(_prepare(offer, claim, result, node) for result in claim.results)
    for resource, ids in _ids(units).items():
        for finding in broken_sets(offer.of(By.CLAIM)[resource], ids):
            what = f"{finding.code}: {finding.subject}: {finding.message}"
            raise CLAIM_UNIT_UNAVAILABLE.refused(claim.subject, what, finding.hint)
    return units


def check_exclusive(units: Iterable[PreparedUnit], claim: AllocatedClaim, boot_id: str, records: ClaimRecords) -> None:
    """Refuse what another claim holds, or what is made of the same."""
    others = [one for one in records.records if one.uid != claim.uid]
    for unit, other in product(units, others):
        if why := _shared(unit, other, boot_id):
            what = f"claim {other.namespace}/{other.name} (UID {other.uid}) {why}"
            hint = f"delete the pod of that claim first: {_pods(other)}"
            raise CLAIM_UNIT_UNAVAILABLE.refused(str(unit.functions[0]), what, hint)


def _prepare(offer: Offer, claim: AllocatedClaim, result: Result, node: str) -> PreparedUnit:
    if result.pool != node:
        what = f"device {result.device} is of pool {result.pool}, and this is node {node}"
        raise CLAIM_NOT_ALLOCATED.refused(claim.subject, what)
    named = _find(offer, result.device)
    if named is None:
        what = f"{claim.subject}: this node offers no such device by claim"
        hint = "was the NodeState changed? delete the pod, so that another device is allocated"
        raise CLAIM_UNIT_UNAVAILABLE.refused(f"device {result.device}", what, hint)
    found = [*named.unit.against, *_findings(offer, named)]
    if found or not named.is_listed:
        raise _unavailable(result.device, named, found)
    return _made(offer, (result.request,), result.pool, result.device, named)


def renew_units(offer: Offer, record: ClaimRecord) -> tuple[PreparedUnit, ...] | None:
    """The units that a claim holds, as they are now; None where nothing is known of one of them.

    What the gate finds, and what is gone, is refused: the pod would not start. Drift is not, for what is held stays.
    """
    units = []
    for unit in record.units:
        one = _find(offer, unit.device)
        if one is None:
            return None
        if found := _findings(offer, one):
            raise _unavailable(unit.device, one, found)
        units.append(_made(offer, unit.requests, unit.pool, unit.device, one))
    return tuple(units)


def _find(offer: Offer, device: str) -> _Named | None:
    """A device by its name in the slices."""
    return next((one for one in _all(offer) if device_name(one.unit.id, one.resource) == device), None)


def _all(offer: Offer) -> Iterator[_Named]:
    for resource, pool in offer.of(By.CLAIM).items():
        yield from (_Named(resource, one, True) for one in pool.units)
        yield from (_Named(resource, one, False) for one in pool.excluded)


def _findings(offer: Offer, named: _Named) -> tuple[Finding, ...]:
    if not named.is_listed:
        return named.unit.against
    found = findings_against(offer, named.resource, (named.unit.id,), By.CLAIM)
    # Whether a set is whole all units of the claim tell together.
    return tuple(finding for finding in found if finding.code != SET_BROKEN.code)


def _unavailable(device: str, named: _Named, found: Sequence[Finding]) -> Refused:
    subject = str(named.unit.unit.primary) if named.unit.unit else f"device {device}"
    if not found:
        return CLAIM_UNIT_UNAVAILABLE.refused(subject, f"{named.resource}: the node does not list it")
    first = found[0]
    what = first.message if first.subject in {subject, named.unit.id} else first.what
    return CLAIM_UNIT_UNAVAILABLE.refused(subject, f"{first.code}: {what}", first.hint)


def _made(offer: Offer, requests: tuple[str, ...], pool: str, device: str, named: _Named) -> PreparedUnit:
    grant = make_grant(offer, named.resource, (named.unit.id,), By.CLAIM)
    (unit,) = grant.units
    return PreparedUnit(requests, pool, device, unit.id, named.resource, unit.functions, unit.groups, grant.nodes)


def _shared(unit: PreparedUnit, other: ClaimRecord, boot_id: str) -> str:
    """What of a unit another claim holds; empty where it holds nothing of it."""
    if any(held.unit == unit.unit for held in other.units):
        return "holds it already"
    # A reboot may give the same numbers to other devices.
    for held in other.units if other.boot_id == boot_id else ():
        if not set(held.functions).isdisjoint(unit.functions):
            return "holds a part of it already"
        if not set(held.groups).isdisjoint(unit.groups):
            return f"holds {held.functions[0]}, which is in the same IOMMU group"
    return ""


def _pods(record: ClaimRecord) -> str:
    return ", ".join(name for name, _ in record.pods) or "`kubectl get resourceclaim` names it"


def units_by_resource(records: Iterable[ClaimRecord]) -> dict[str, frozenset[str]]:
    """The ids that claims hold, by resource."""
    return _ids(unit for record in records for unit in record.units)


def _ids(units: Iterable[PreparedUnit]) -> dict[str, frozenset[str]]:
    return {resource: frozenset(one.unit for one in found) for resource, found in by_resource(units).items()}
