"""A node on which things happen: drivers change, VFs come and go, claims take units and give them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from domxml.pciaddress import PciAddress
from hostdev.binding.state import By, OfferEntry, UnitKind
from hostdev.inventory.machine import IommuGroup, Machine, PciFunction
from hostdev.offer.pool import Basis, Offer
from hostdev.offer.refresh import refresh_offer
from tests.hostdev.claims.inventories import offered_by_claim
from tests.hostdev.gate.build import NIC, at, function, machine
from tests.hostdev.offer.offers import CARD, VF, card, entry, port

PART, ANY = "example.com/part", "example.com/any"
VFS = Mapping[PciAddress, PciFunction]


class ChangingNode:
    """Ports with VFs, cards with companions, and a slot of which the whole and the parts are offered."""

    def __init__(self, ports: int, vfs: int, random: Random) -> None:
        self._random = random
        slot = [function(f"0000:05:00.{n}", class_code=NIC, device=0x1889, group=900000 + n) for n in range(8)]
        cards = (one for n in range(4) for one in card(0xF0 + n, 910000 + n))
        # Of every eighth port the VFs are two resources.
        nics = (replace(one, numa_node=int(n % 8 == 0)) for n in range(ports) for one in port(0x10 + n, vfs, 1000 * n))
        self._machine: Machine = machine(*nics, *cards, *slot)
        self._claimed: Mapping[str, frozenset[str]] = {}
        self._away: dict[PciAddress, VFS] = {}
        """By PF the VFs that it had."""
        self.offer: Offer = offered_by_claim(self._machine, *self._entries())

    def _entries(self) -> tuple[OfferEntry, ...]:
        return (
            entry(VF, id=(0x8086, 0x154C)),
            entry(CARD, UnitKind.GROUP, class_name="vga"),
            entry("example.com/audio", UnitKind.FUNCTION, class_name="audio"),
            entry("example.com/whole", UnitKind.SLOT, address=at("05:00.0")),
            entry(PART, UnitKind.FUNCTION, id=(0x8086, 0x1889)),
            entry(ANY, id=(0x8086, 0x154C), numa=1),
        )

    def change(self) -> str:
        """Something happens, and the offer follows; its name."""
        name = self.happen()
        self.follow()
        return name

    def happen(self) -> str:
        happens = self._random.choice((*(self._bind,) * 3, self._remake_vfs, self._claim, self._release))
        self._claimed = happens(self.offer.basis.claimed)
        return happens.__name__

    def follow(self) -> None:
        basis: Basis = self.offer.basis._replace(machine=self._machine, claimed=self._claimed)
        self.offer = refresh_offer(self.offer, basis)

    def _bind(self, claimed: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
        one = self._random.choice([f for f in self._machine.functions.values() if not f.total_vfs])
        bound = {"driver": None, "vfio_dev": None} if one.driver else {"driver": "vfio-pci", "vfio_dev": "vfio9"}
        self._put({one.address: replace(one, **bound)})
        return claimed

    def _remake_vfs(self, claimed: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
        """Those of a PF go, or come back."""
        pf = self._random.choice([f for f in self._machine.functions.values() if f.total_vfs])
        if vfs := self._away.pop(pf.address, None):
            self._put({**vfs, pf.address: replace(pf, virtfns=tuple(vfs), num_vfs=len(vfs))})
        else:
            self._away[pf.address] = {vf: self._machine.functions[vf] for vf in pf.virtfns}
            left = {a: f for a, f in self._machine.functions.items() if a not in self._away[pf.address]}
            self._put_all({**left, pf.address: replace(pf, virtfns=(), num_vfs=0)})
        return claimed

    def _claim(self, claimed: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
        """As a scheduler would: nothing that shares with what is taken."""
        pools = self.offer.of(By.CLAIM)
        held = [one.unit for pool in pools.values() for one in pool.units if one.is_held and one.unit]
        taken = {thing for unit in held for thing in (*unit.functions, *unit.groups)}
        pool = self._random.choice([*pools.values()])
        usable = [(one.id, one.unit) for one in pool.units if one.is_healthy and one.unit]
        free = [id_ for id_, unit in usable if taken.isdisjoint((*unit.functions, *unit.groups))]
        some = set(self._random.sample(free, min(len(free), 1)))
        return {**claimed, pool.resource: claimed.get(pool.resource, frozenset()) | some} if some else claimed

    def _release(self, claimed: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
        if not claimed:
            return claimed
        resource = self._random.choice(sorted(claimed))
        gone = self._random.choice(sorted(claimed[resource]))
        left = claimed[resource] - {gone}
        rest = {name: ids for name, ids in claimed.items() if name != resource}
        return {**rest, resource: left} if left else rest

    def _put(self, functions: VFS) -> None:
        self._put_all({**self._machine.functions, **functions})

    def _put_all(self, functions: VFS) -> None:
        members: dict[int, list[PciAddress]] = {}
        for one in functions.values():
            if one.group is not None:
                members.setdefault(one.group, []).append(one.address)
        groups = {
            number: self._machine.groups[number] if number in self._machine.groups else IommuGroup(number, tuple(some))
            for number, some in members.items()
        }
        self._machine = replace(self._machine, functions=functions, groups=groups)
