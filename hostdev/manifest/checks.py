"""What is to be said of pools: what the gate says of their devices, and what their plugin makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.findings.driver import NOT_BOUND_TO_VFIO
from hostdev.findings.manifest import (
    MDEV_TYPE_FULL,
    NOT_OFFERED_BY_KUBEVIRT,
    SELECTOR_SHARES_GROUP,
    SELECTOR_TAKES_MORE,
)
from hostdev.findings.sriov import VF_AUTOPROBE_ON
from hostdev.gate.check import check
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import GENERIC, is_on_vfio
from hostdev.manifest.pool import OFFERED, By, Pool, selector
from hostdev.manifest.units import MENDED

_MENDED: Mapping[By, frozenset[str]] = {
    By.OPERATOR: frozenset({NOT_BOUND_TO_VFIO.code, VF_AUTOPROBE_ON.code}),
    **dict.fromkeys(OFFERED, MENDED),
}
"""What the SR-IOV network operator, and the agent by the NodeState, repair by themselves."""


def findings(machine: Machine, pools: Sequence[Pool]) -> tuple[Finding, ...]:
    """Warnings and errors, the worst first."""
    found = [*_of_gate(machine, pools), *(one for pool in pools for one in _of_pool(machine, pool))]
    found += _shared(machine, [pool for pool in pools if _own(pool)])
    worth = (finding for finding in dict.fromkeys(found) if finding.severity is not Severity.INFO)
    return tuple(sorted(worth, key=lambda finding: -finding.severity.rank))


def _of_gate(machine: Machine, pools: Iterable[Pool]) -> Iterator[Finding]:
    """Of devices that were selected by their kind all are alike: one of them stands for the others."""
    parts = [(pool, _spoken_for(pool)) for pool in pools if pool.mdev is None]
    for mended in dict.fromkeys(_MENDED.get(pool.by, frozenset()) for pool, _ in parts):
        mine = [address for pool, part in parts if _MENDED.get(pool.by, frozenset()) == mended for address in part]
        yield from (one for one in check(machine, mine) if one.code not in mended)


def _spoken_for(pool: Pool) -> tuple[PciAddress, ...]:
    """The devices that stand for the pool, with all that is in their units."""
    functions = pool.functions if pool.outright else pool.functions[:1]
    units = {unit.primary: unit.functions for unit in pool.units}
    return tuple(address for one in functions for address in units.get(one.address, (one.address,)))


def _of_pool(machine: Machine, pool: Pool) -> Iterator[Finding]:
    if pool.mdev is not None:
        made = [mdev for mdev in machine.mdevs.values() if mdev.type == pool.mdev.name]
        if not made and not any(one.available for f in pool.functions for one in f.mdev_types if one == pool.mdev):
            what = f"no more {pool.mdev.title or pool.mdev.name} can be made, and none exists"
            yield MDEV_TYPE_FULL.found(str(pool.functions[0].address), what)
    elif _own(pool):
        yield from _offered(pool)
        yield from _more(machine, pool)


def _offered(pool: Pool) -> Iterator[Finding]:
    for function in pool.functions:
        if is_on_vfio(function) and function.driver != GENERIC:
            yield NOT_OFFERED_BY_KUBEVIRT.found(str(function.address), f"is on {function.driver}")


def _more(machine: Machine, pool: Pool) -> Iterator[Finding]:
    """Devices that were not named, and are handed out all the same."""
    if not pool.outright:
        return
    named = {function.address for function in pool.functions}
    others = [str(f.address) for f in _offers(machine, pool) if f.address not in named]
    if others:
        what = f"{', '.join(pool.selectors)} also selects {listed(others)}"
        yield SELECTOR_TAKES_MORE.found(pool.resource, what)


def _shared(machine: Machine, pools: Sequence[Pool]) -> Iterator[Finding]:
    """Groups of which KubeVirt would hand out one device, or hand out halves to different VMs."""
    offered = dict.fromkeys(f for pool in pools for f in (*pool.functions, *_offers(machine, pool)))
    groups: dict[int, list[PciFunction]] = {}
    for function in offered:
        if function.group is not None:
            groups.setdefault(function.group, []).append(function)
    for number, members in sorted(groups.items()):
        if len(members) > 1:
            named = listed(function.address for function in members)
            yield SELECTOR_SHARES_GROUP.found(f"group {number}", f"{named} are selected, and are one group")


def _offers(machine: Machine, pool: Pool) -> Iterator[PciFunction]:
    """What KubeVirt's own device plugin would make of the selectors on this machine."""
    for _, function in sorted(machine.functions.items()):
        if function.driver == GENERIC and selector(function) in pool.selectors:
            yield function


def _own(pool: Pool) -> bool:
    return pool.by is By.KUBEVIRT and pool.mdev is None
