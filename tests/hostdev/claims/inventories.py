"""Inventories in a few words, and the reading of slices that a scheduler has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from hostdev.binding.state import By, NodeState, OfferEntry
from hostdev.claims.devices import Device, Inventory, make_inventory
from hostdev.claims.slices import Delete, Owner, Step, Update
from hostdev.inventory.machine import Machine
from hostdev.offer.compose import compose_offer
from hostdev.offer.pool import Offer
from tests.apiserver.pools import every_device, is_complete, newest
from tests.apiserver.storage import Object
from tests.apiserver.validation import slice_errors

OWNER = Owner("node-1", "5ca1ab1e")
DRIVER = "units.passgate.dev"


def offered_by_claim(
    machine: Machine, *entries: OfferEntry, claimed: Mapping[str, Collection[str]] | None = None
) -> Offer:
    numbered = tuple(one._replace(place=f"offer[{number}]", by=By.CLAIM) for number, one in enumerate(entries))
    return compose_offer(NodeState(offers=numbered), machine, claimed=claimed or {})


def inventory(machine: Machine, *entries: OfferEntry) -> Inventory:
    return make_inventory(offered_by_claim(machine, *entries))


def fit_together(found: Inventory, devices: Iterable[Device]) -> bool:
    """Whether the counters suffice for these devices, as the scheduler counts."""
    there = {one.name: one.counters for one in found.counter_sets}
    taken: Counter[tuple[str, str]] = Counter()
    for device in devices:
        for one in device.consumes:
            taken.update({(one.counter_set, name): value for name, value in one.counters.items()})
    return all(value <= there[counter_set][name] for (counter_set, name), value in taken.items())


class Slices:
    """The ResourceSlices of an API server that takes every step which is meant for what is there."""

    def __init__(self, objects: Iterable[Object] = ()) -> None:
        self.objects = {one["metadata"]["name"]: one for one in objects}
        self.writes = 0

    def apply(self, step: Step) -> None:
        self.writes += 1
        if isinstance(step, Delete):
            here = self.objects.pop(step.name)["metadata"]
            assert (here["uid"], here["resourceVersion"]) == (step.uid, step.version)
            return
        name = step.object["metadata"]["name"]
        assert not [*slice_errors(step.object, self.objects.get(name))]
        here = self.objects.get(name)
        assert (here is not None) is isinstance(step, Update)
        if here:
            assert step.object["metadata"]["resourceVersion"] == here["metadata"]["resourceVersion"]
        metadata = {**step.object["metadata"], "resourceVersion": str(self.writes)}
        metadata.setdefault("uid", f"uid-{self.writes}")
        self.objects[name] = {**step.object, "metadata": metadata}

    @property
    def live(self) -> list[Object]:
        return list(self.objects.values())

    @property
    def newest(self) -> list[Object]:
        return newest(self.live)

    @property
    def devices(self) -> dict[str, Object] | None:
        """What a scheduler can allocate; None while the pool is not complete."""
        found = self.newest
        return {one["name"]: one for one in every_device(found)} if is_complete(found) else None
