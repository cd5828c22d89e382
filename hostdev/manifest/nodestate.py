"""The NodeState that offers devices: what is bound and made, and which units are a resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from domxml.errors import BadInput
from domxml.text import listed
from hostdev.binding.drift import AUTO
from hostdev.binding.state import UnitKind
from hostdev.findings.device import DEVICE_MISSING
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import GENERIC, is_on_vfio
from hostdev.manifest.pool import By, Document, Pool, Wanted
from hostdev.manifest.pools import number_of_vfs
from hostdev.printing.documents import document


def node_state_documents(machine: Machine, pools: Iterable[Pool], wanted: Wanted) -> tuple[Document, ...]:
    """One NodeState for the nodes that have these devices; none where others hand them out."""
    offered = [pool for pool in pools if pool.by is By.PASSGATE]
    if not offered:
        return ()
    found = {
        "devices": _distinct(entry for pool in offered for entry in _devices(machine, pool)),
        "virtualFunctions": _distinct(entry for pool in offered for entry in _vfs(machine, pool, wanted)),
        "offer": [_offer(machine, pool) for pool in offered],
    }
    has = _distinct(match for pool in offered for match in _anchors(machine, pool))
    metadata = {
        "name": wanted.node or offered[0].name,
        "nodes": {"names": [wanted.node]} if wanted.node else {"has": has},
    }
    spec = {key: value for key, value in found.items() if value}
    return (document("NodeState", metadata=metadata, spec=spec),)


def _offer(machine: Machine, pool: Pool) -> Document:
    """The entry of a resource, of which there is one."""
    kinds = {unit.kind for unit in pool.units} - {UnitKind.FUNCTION}
    matches = _distinct(_match(machine, function, pool.functions, pool) for function in pool.functions)
    ids = {pciids.ids(function) for function in pool.functions}
    if len(matches) > 1 and len(ids) == 1 and not pool.outright:
        # The others of the kind are the host's, on drivers of its own.
        driver = _driver(pool.functions)
        matches = [{"id": ids.pop(), **({} if driver == AUTO else {"driver": driver})}]
    if len(matches) > 1 or len(kinds) > 1:
        what = f"an offer has one entry for a resource, with one place or one kind, and {pool.resource} would need more"
        hint = "name the kind, or run it once for each device, with a --resource of its own"
        raise BadInput("bad-usage", what, subject=listed(word.text for word in pool.words), hint=hint)
    (unit,) = kinds or {UnitKind.FUNCTION}
    return {"resource": pool.resource, "match": matches[0], "unit": str(unit)}


def _anchors(machine: Machine, pool: Pool) -> Iterator[Document]:
    """All that entries name and that is there before anything is done on a node: of VFs the PFs."""
    for function in _members(machine, pool):
        pf = _pf_of(machine, function)
        yield _member_match(machine, function, pool) if pf is None else _pf_match(machine, pf, pool)


def _members(machine: Machine, pool: Pool) -> list[PciFunction]:
    return [machine.functions[address] for unit in pool.units for address in unit.functions]


def _devices(machine: Machine, pool: Pool) -> Iterator[Document]:
    """The drivers of all that is in the units, but for VFs that are all of their PF's."""
    primaries = {unit.primary for unit in pool.units if unit.kind is UnitKind.GROUP}
    members = _members(machine, pool)
    for function in members:
        pf = _pf_of(machine, function)
        if pf is None or not _has_all_vfs(pf, pool):
            match = _member_match(machine, function, pool)
            driver = _driver(
                [function] if "address" in match else [one for one in members if _ids(one) == _ids(function)]
            )
            # A node with more in the group has that bound as well.
            with_group = {"withGroup": True} if function.address in primaries else {}
            yield {"match": match, "driver": driver, **with_group}


def _member_match(machine: Machine, function: PciFunction, pool: Pool) -> Document:
    """What is in another slot is in the unit by chance, and not meant as a kind."""
    slots = {unit.primary.slot_address for unit in pool.units}
    members = _members(machine, pool)
    return _match(machine, function, members, pool) if function.address.slot_address in slots else _place(function)


def _vfs(machine: Machine, pool: Pool, wanted: Wanted) -> Iterator[Document]:
    """The PFs of the VFs: how many each has, and their driver where all of them are offered."""
    for function in pool.functions:
        pf = _pf_of(machine, function)
        if pf is not None:
            mine = [one for one in pool.functions if one.physfn == pf.address]
            driver = {"driver": _driver(mine)} if _has_all_vfs(pf, pool) else {}
            yield {"match": _pf_match(machine, pf, pool), "count": number_of_vfs(pf, wanted.vfs), **driver}


def _pf_of(machine: Machine, function: PciFunction) -> PciFunction | None:
    if function.physfn is None:
        return None
    if function.physfn not in machine.functions:
        what, hint = f"its PF {function.physfn} is not to be seen", "run it on the node itself"
        raise DEVICE_MISSING.refused(str(function.address), what, hint)
    return machine.functions[function.physfn]


def _pf_match(machine: Machine, pf: PciFunction, pool: Pool) -> Document:
    """The kind of PF, where all VFs of all such PFs are meant."""
    alike = [one for one in machine.functions.values() if _ids(one) == _ids(pf)]
    is_whole = all(one.num_vfs == pf.num_vfs and _has_all_vfs(one, pool) for one in alike)
    return {"id": pciids.ids(pf)} if is_whole and not pool.outright else _place(pf)


def _has_all_vfs(pf: PciFunction, pool: Pool) -> bool:
    """Whether all VFs of a PF are in the pool."""
    return len(pf.virtfns) == sum(one.physfn == pf.address for one in pool.functions)


def _match(machine: Machine, function: PciFunction, meant: Iterable[PciFunction], pool: Pool) -> Document:
    """The kind, where all of it is meant and nothing of it is the host's; else this one."""
    kind = {one.address for one in machine.functions.values() if _ids(one) == _ids(function)}
    mine = {one.address for one in meant if _ids(one) == _ids(function)}
    is_several = not pool.outright or len(pool.functions) > 1
    return {"id": pciids.ids(function)} if kind == mine and is_several else _place(function)


def _place(function: PciFunction) -> Document:
    return {"address": str(function.address), "id": pciids.ids(function)}


def _driver(functions: Iterable[PciFunction]) -> str:
    """The vfio driver that they have: of several, any."""
    drivers = {one.driver for one in functions if one.driver and is_on_vfio(one)} or {GENERIC}
    return drivers.pop() if len(drivers) == 1 else AUTO


def _ids(function: PciFunction) -> tuple[int, int]:
    return function.vendor, function.device


def _distinct(entries: Iterable[Document]) -> Sequence[Document]:
    found: list[Document] = []
    for entry in entries:
        if entry not in found:
            found.append(entry)
    return found
