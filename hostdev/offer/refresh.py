"""The next offer from the last one: where a few functions changed their drivers, the rest is not judged again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from domxml.pciaddress import PciAddress
from hostdev.binding.state import Match, NodeState
from hostdev.findings.nodestate import NODE_STATE_DRIFTED
from hostdev.gate.check import platform_findings
from hostdev.gate.readiness import Readiness
from hostdev.inventory.machine import Machine, PciFunction, Role
from hostdev.offer.compose import compose_from, drift_against, find_drift
from hostdev.offer.pool import Basis, Offer, OfferedUnit, Pool
from hostdev.units.compose import is_for_guests
from hostdev.units.unit import Unit

Judge = Callable[[OfferedUnit, Unit], OfferedUnit]


def refresh_offer(last: Offer, basis: Basis) -> Offer:
    """What `compose_from` makes of it, in a time that goes by what changed since the last offer."""
    changed = _changed(last.basis, basis)
    if changed is None:
        return compose_from(basis)
    touched = _touched(basis.machine, changed)
    units = [one.unit for pool in last.pools for one in (*pool.units, *pool.excluded) if one.unit]
    due = frozenset(unit.functions for unit in units if not touched.isdisjoint(unit.functions))
    judge = _judge(basis, {address for functions in due for address in functions})
    pools = tuple(_judged(pool, due, judge) for pool in last.pools)
    if any(new is not old and old.spare for new, old in zip(pools, last.pools, strict=True)):
        # Which of them the limit keeps goes by which can be given.
        return compose_from(basis)
    return replace(last, basis=basis, pools=pools)


def _changed(before: Basis, after: Basis) -> frozenset[PciAddress] | None:
    """The functions to be judged again; None where other units, or another verdict on the host, may come of it."""
    old, new = before.machine, after.machine
    same = (
        before._replace(machine=new) == after
        and not any(match.driver for match in _matches(after.state))
        and old.functions.keys() == new.functions.keys()
        and _surroundings(old) == _surroundings(new)
    )
    if not same:
        return None
    found = {a for a, one in new.functions.items() if old.functions[a] is not one and old.functions[a] != one}
    if any(_shape(old.functions[address]) != _shape(new.functions[address]) for address in found):
        return None
    return frozenset((*found, *_behind_nodes(old, new)))


def _matches(state: NodeState) -> Iterator[Match]:
    yield from (entry.match for entry in state.offers)
    yield from (match for one in state.sets for match in one.functions)


def _surroundings(machine: Machine) -> tuple[object, ...]:
    """What every unit is judged by, but for the nodes below /dev/vfio."""
    nodes_are_seen, known = machine.vfio.nodes is not None, machine.vfio
    return (
        *(machine.groups, machine.mdevs, machine.iommu, machine.kernel, machine.unread, machine.source),
        *(known.modules, known.iommufd, nodes_are_seen, tuple(platform_findings(machine))),
    )


def _shape(function: PciFunction) -> tuple[object, ...]:
    """What decides which units there are, and how they are called."""
    return (
        *(function.vendor, function.device, function.class_code, function.bridge, function.role),
        *(function.subsystem_vendor, function.subsystem_device, is_for_guests(function)),
        *(function.group, function.numa_node, function.parent, function.root, function.physfn, function.virtfns),
    )


def _behind_nodes(old: Machine, new: Machine) -> Iterator[PciAddress]:
    """Functions whose nodes below /dev/vfio came or went."""
    nodes = frozenset(old.vfio.nodes or ()) ^ frozenset(new.vfio.nodes or ())
    for address, function in new.functions.items() if nodes else ():
        if str(function.group) in nodes or f"devices/{function.vfio_dev}" in nodes:
            yield address


def _touched(machine: Machine, changed: Iterable[PciAddress]) -> frozenset[PciAddress]:
    """Functions whose verdict may be another: what shares a group, a bus or a PF with what changed."""
    found = set(_with_families(machine, changed))
    buses = {(address.domain, address.bus) for address in changed}
    for address in changed:
        group = machine.group_of(address)
        found |= set(group.members if group else ())
    found |= {
        one.address
        for one in machine.functions.values()
        if (one.address.domain, one.address.bus) in buses and one.role is not Role.VF
    }
    return frozenset(found)


def _with_families(machine: Machine, addresses: Iterable[PciAddress]) -> Iterator[PciAddress]:
    """Functions with their PFs and all VFs of these."""
    for address in dict.fromkeys(machine.functions[one].physfn or one for one in addresses):
        yield address
        if address in machine.functions:
            yield from machine.functions[address].virtfns


def _judge(basis: Basis, addresses: Collection[PciAddress]) -> Judge:
    machine = basis.machine
    readiness = Readiness(machine)
    drift = dict(find_drift(basis.state, _part(machine, addresses), basis.readings)) if addresses else {}

    def judge(one: OfferedUnit, unit: Unit) -> OfferedUnit:
        driver, blockers = machine.functions[unit.primary].driver, readiness.blockers(unit.functions)
        kept = (finding for finding in one.against if finding.code != NODE_STATE_DRIFTED.code)
        against = (*kept, *drift_against(unit, drift, is_held=one.is_held))
        return one._replace(unit=unit._replace(driver=driver, blockers=blockers), against=against)

    return judge


def _judged(pool: Pool, due: Collection[tuple[PciAddress, ...]], judge: Judge) -> Pool:
    units, excluded = (
        tuple(judge(one, one.unit) if one.unit and one.unit.functions in due else one for one in table)
        for table in (pool.units, pool.excluded)
    )
    return pool if (units, excluded) == (pool.units, pool.excluded) else replace(pool, units=units, excluded=excluded)


def _part(machine: Machine, addresses: Iterable[PciAddress]) -> Machine:
    """These functions with what drift of them is found by: their families, and the ways to them."""
    functions: dict[PciAddress, PciFunction] = {}
    for address in _with_families(machine, addresses):
        here: PciAddress | None = address
        while here is not None and here in machine.functions and here not in functions:
            functions[here] = machine.functions[here]
            here = functions[here].parent
    return replace(machine, functions=functions)
