"""The NodeState that offers devices: what is bound and made, and which units are a resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding.drift import AUTO
from hostdev.binding.state import UnitKind
from hostdev.findings.device import DEVICE_MISSING
from hostdev.inventory import pciids
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import GENERIC, is_on_vfio
from hostdev.manifest.pool import OFFERED, By, Document, Pool, Wanted
from hostdev.manifest.pools import number_of_vfs
from hostdev.printing.documents import document


def node_state_documents(machine: Machine, pools: Iterable[Pool], wanted: Wanted) -> tuple[Document, ...]:
    """One NodeState for the nodes that have these devices; none where others hand them out."""
    offered = [pool for pool in pools if pool.by in OFFERED]
    if not offered:
        return ()
    declared = [_Declaration(machine, pool) for pool in offered]
    found = {
        "devices": _distinct(entry for one in declared for entry in one.devices()),
        "virtualFunctions": _distinct(entry for one in declared for entry in one.vfs(wanted)),
        "offer": [one.offer() for one in declared],
    }
    has = _distinct(match for one in declared for match in one.anchors())
    metadata = {
        "name": wanted.node or offered[0].name,
        "nodes": {"names": [wanted.node]} if wanted.node else {"has": has},
    }
    spec = {key: value for key, value in found.items() if value}
    return (document("NodeState", metadata=metadata, spec=spec),)


class _Declaration:
    """What is declared for the devices of one resource."""

    def __init__(self, machine: Machine, pool: Pool) -> None:
        self._machine, self._pool = machine, pool
        self._members = [machine.functions[address] for unit in pool.units for address in unit.functions]
        self._slots = {unit.primary.slot_address for unit in pool.units}
        self._there, self._meant = _by_kind(machine.functions.values()), _by_kind(self._members)
        self._drivers = {kind: _driver(functions) for kind, functions in self._meant.items()}
        self._vfs: dict[PciAddress, list[PciFunction]] = {}
        for function in pool.functions:
            if function.physfn is not None:
                self._vfs.setdefault(function.physfn, []).append(function)

    def offer(self) -> Document:
        """The entry of the resource, of which there is one."""
        pool = self._pool
        kinds = {unit.kind for unit in pool.units} - {UnitKind.FUNCTION}
        matches = _distinct(map(self._match, pool.functions))
        ids = {pciids.ids(function) for function in pool.functions}
        if len(matches) > 1 and len(ids) == 1 and not pool.outright:
            # The others of the kind are the host's, on drivers of its own.
            driver = _driver(pool.functions)
            matches = [{"id": ids.pop(), **({} if driver == AUTO else {"driver": driver})}]
        if len(matches) > 1 or len(kinds) > 1:
            what = f"an offer has one entry for a resource, with one place or one kind; {pool.resource} would need more"
            hint = "name the kind, or run it once for each device, with a --resource of its own"
            raise BadInput("bad-usage", what, subject=listed(word.text for word in pool.words), hint=hint)
        (unit,) = kinds or {UnitKind.FUNCTION}
        by = {"by": str(By.CLAIM)} if pool.by is By.CLAIM else {}
        return {"resource": pool.resource, "match": matches[0], "unit": str(unit), **by}

    def anchors(self) -> Iterator[Document]:
        """All that entries name and that is there before anything is done on a node: of VFs the PFs."""
        yield from (self._match(function) for function in self._members if function.physfn is None)
        yield from map(self._pf_match, self._pfs())

    def devices(self) -> Iterator[Document]:
        """The drivers of all that is in the units, but for VFs that are all of their PF's."""
        primaries = {unit.primary for unit in self._pool.units if unit.kind is UnitKind.GROUP}
        whole = {pf.address for pf in self._pfs() if self._has_all_vfs(pf)}
        for function in self._members:
            if function.physfn not in whole:
                match = self._match(function)
                driver = _driver([function]) if "address" in match else self._drivers[_kind(function)]
                # A node with more in the group has that bound as well.
                with_group = {"withGroup": True} if function.address in primaries else {}
                yield {"match": match, "driver": driver, **with_group}

    def vfs(self, wanted: Wanted) -> Iterator[Document]:
        """The PFs of the VFs: how many each has, and their driver where all of them are offered."""
        for pf in self._pfs():
            driver = {"driver": _driver(self._vfs[pf.address])} if self._has_all_vfs(pf) else {}
            yield {"match": self._pf_match(pf), "count": number_of_vfs(pf, wanted.vfs), **driver}

    def _pfs(self) -> Iterator[PciFunction]:
        for address, vfs in self._vfs.items():
            if address not in self._machine.functions:
                what, hint = f"its PF {address} is not to be seen", "run it on the node itself"
                raise DEVICE_MISSING.refused(str(vfs[0].address), what, hint)
            yield self._machine.functions[address]

    def _has_all_vfs(self, pf: PciFunction) -> bool:
        """Whether all VFs of a PF are offered."""
        return len(pf.virtfns) == len(self._vfs.get(pf.address, ()))

    def _pf_match(self, pf: PciFunction) -> Document:
        """The kind of PF, where all VFs of all such PFs are meant."""
        alike = self._there[_kind(pf)]
        is_whole = all(one.num_vfs == pf.num_vfs and self._has_all_vfs(one) for one in alike)
        return {"id": pciids.ids(pf)} if is_whole and not self._pool.outright else _place(pf)

    def _match(self, function: PciFunction) -> Document:
        """The kind, where all of it is meant and nothing of it is the host's; else this one.

        What is in another slot is in a unit by chance, and not meant as a kind.
        """
        kind, pool = _kind(function), self._pool
        is_whole = len(self._there[kind]) == len(self._meant[kind]) and function.address.slot_address in self._slots
        is_several = not pool.outright or len(pool.functions) > 1
        return {"id": pciids.ids(function)} if is_whole and is_several else _place(function)


def _by_kind(functions: Iterable[PciFunction]) -> Mapping[tuple[int, int], list[PciFunction]]:
    found: dict[tuple[int, int], list[PciFunction]] = {}
    for function in functions:
        found.setdefault(_kind(function), []).append(function)
    return found


def _kind(function: PciFunction) -> tuple[int, int]:
    return function.vendor, function.device


def _place(function: PciFunction) -> Document:
    return {"address": str(function.address), "id": pciids.ids(function)}


def _driver(functions: Iterable[PciFunction]) -> str:
    """The vfio driver that they have: of several, any."""
    drivers = {one.driver for one in functions if one.driver and is_on_vfio(one)} or {GENERIC}
    return drivers.pop() if len(drivers) == 1 else AUTO


def _distinct(entries: Iterable[Document]) -> list[Document]:
    return list({repr(entry): entry for entry in entries}.values())
