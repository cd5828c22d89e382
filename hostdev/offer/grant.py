"""What a pod is given with its units: the variable that KubeVirt reads, and the nodes of VFIO."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.state import By
from hostdev.findings.offer import OFFER_CONFLICT, UNIT_GONE, UNIT_UNKNOWN
from hostdev.gate.check import platform_findings, together_findings
from hostdev.inventory.machine import Machine
from hostdev.kubelet.resourcename import order_addresses, variable_name, variable_value
from hostdev.offer.exclusion import find_conflicts
from hostdev.offer.pool import Offer, OfferedUnit
from hostdev.offer.sets import broken_sets
from hostdev.units.unit import Unit

PERMISSIONS = "mrw"
"""Of each node; a runtime refuses an empty word when it starts the container."""
CONTAINER_NODE = "/dev/vfio/vfio"


class Grant(NamedTuple):
    """The answer to one request of kubelet."""

    resource: str
    units: tuple[Unit, ...]
    variables: Mapping[str, str]
    nodes: tuple[str, ...]
    """The same paths on the host and in the container."""

    @property
    def addresses(self) -> tuple[PciAddress, ...]:
        """All functions in the variable's order."""
        return order_addresses(unit.functions for unit in self.units)


def make_grant(offer: Offer, resource: str, ids: Collection[str], by: By = By.PLUGIN) -> Grant:
    """Give units, in an order that kubelet's has no part in.

    A plugin's refusal here ends the pod for good, so that only what cannot work is refused: what is not listed, and
    what is gone. Passing trouble is for `findings_against`.
    """
    pool = offer.of(by).get(resource)
    known = pool.by_id if pool else {}
    unknown = sorted(one for one in ids if one not in known)
    if unknown:
        raise UNIT_UNKNOWN.refused(resource, f"{listed(unknown, 4)} is not offered")
    given = {id_: known[id_] for id_ in ids}
    gone = next((finding for one in given.values() if one.unit is None for finding in one.against), None)
    if gone:
        raise gone.refusal()
    units = tuple(sorted((one.unit for one in given.values() if one.unit), key=lambda unit: unit.primary))
    variables = {variable_name(resource): variable_value(unit.functions for unit in units)}
    return Grant(resource, units, variables, tuple(_nodes(offer.machine, units)))


def _nodes(machine: Machine, units: Collection[Unit]) -> Iterator[str]:
    """The container's own node, that of each group, and those of functions where the kernel has made them.

    Kernels without VFIO's device nodes, and containers where /dev/vfio/devices is not seen, have none: a path that is
    absent would keep the container from being made.
    """
    yield CONTAINER_NODE
    yield from (f"/dev/vfio/{group}" for group in sorted({group for unit in units for group in unit.groups}))
    there = frozenset(machine.vfio.nodes or ())
    for address in sorted(address for unit in units for address in unit.functions):
        name = f"devices/{machine.functions[address].vfio_dev}"
        if name in there:
            yield f"/dev/vfio/{name}"


def findings_against(offer: Offer, resource: str, ids: Collection[str], by: By = By.PLUGIN) -> tuple[Finding, ...]:
    """What speaks against starting a container with these units now; empty where nothing does.

    Drift is none of it for what is held; what the gate finds, and what is gone, is. Of claims it is, too, what another
    claim holds that shares with them: a device that was not listed for a moment has counted for nothing in it.
    """
    pool = offer.of(by).get(resource)
    known = pool.by_id if pool else {}
    unknown = [UNIT_UNKNOWN.found(resource, f"{one} is not offered") for one in sorted(ids) if one not in known]
    given = [known[id_] for id_ in sorted(ids) if id_ in known]
    found = [finding for one in given for finding in _of_unit(offer.machine, one)]
    shared = _shared_with_held(offer, resource, given) if by is By.CLAIM else ()
    return tuple(dict.fromkeys((*unknown, *found, *shared, *(broken_sets(pool, ids) if pool else ()))))


def _shared_with_held(offer: Offer, resource: str, given: Collection[OfferedUnit]) -> Iterator[Finding]:
    mine = [one.unit for one in given if one.unit]
    held = [
        (name, one.unit)
        for name, pool in offer.of(By.CLAIM).items()
        for one in pool.units
        if one.is_held and one.unit and (name != resource or one not in given)
    ]
    units = [*mine, *(unit for _, unit in held)]
    for conflict in find_conflicts(offer.machine, units) if held else ():
        low, high = sorted((conflict.first, conflict.second))
        if low < len(mine) <= high:
            name, other = held[high - len(mine)]
            what = f"a claim holds {other.primary} as {name}, and {conflict.why}"
            yield OFFER_CONFLICT.found(str(units[low].primary), what)


def _of_unit(machine: Machine, one: OfferedUnit) -> Iterator[Finding]:
    yield from (finding for finding in one.against if finding.code == UNIT_GONE.code)
    if one.unit and one.unit.blockers:
        found = (*platform_findings(machine), *together_findings(machine, one.unit.functions))
        codes = frozenset(one.unit.blockers)
        yield from (finding for finding in found if finding.code in codes and finding.severity is not Severity.INFO)
