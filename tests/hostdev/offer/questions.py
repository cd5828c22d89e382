"""Questions of any kind: a machine with some of its functions bound, and a state that means some of them in any way."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

from hostdev.binding.state import By, DeviceEntry, Match, NodeState, OfferEntry, UnitKind, UnitSet, VfEntry
from hostdev.inventory.machine import HostUse, Machine, PciFunction, Vfio
from tests.hostdev.commands import pictures
from tests.hostdev.gate.build import machine
from tests.hostdev.offer.offers import card, port
from tests.hostdev.units.enumeration import seeded

PICTURES = {
    **pictures(),
    "synthesised": machine(*card(1, 6), *card(2, 6), *card(3, 7), *port(0x81, 6, 20), *port(0x82, 3, 40)),
}
KINDS = (None, *UnitKind)


def bound(picture: Machine, random: Random) -> Machine:
    """With some of the functions given to vfio-pci, and nothing of these in use."""
    functions = {
        a: replace(
            one, driver="vfio-pci", driver_override=None, vfio_dev=f"vfio{number}", use=HostUse(), removing=False
        )
        if not one.bridge and random.random() < 0.7
        else one
        for number, (a, one) in enumerate(picture.functions.items())
    }
    return with_nodes(replace(picture, functions=functions))


def with_nodes(picture: Machine) -> Machine:
    """With the nodes that its drivers make."""
    on_vfio = [one for one in picture.functions.values() if one.vfio_dev]
    nodes = dict.fromkeys(
        ("vfio", *(str(one.group) for one in on_vfio), *(f"devices/{one.vfio_dev}" for one in on_vfio))
    )
    vfio = picture.vfio
    return replace(picture, vfio=Vfio(vfio.modules or {"vfio": {}, "vfio_pci": {}}, tuple(nodes), vfio.iommufd))


class Question(NamedTuple):
    """A machine, and a state that means some of it in any way."""

    state: NodeState
    machine: Machine

    def __repr__(self) -> str:
        return f"Question({self.state}, {self.machine.source})"


def question(name: str, seed: int) -> Question:
    random = seeded(seed)
    picture = bound(PICTURES[name], random)
    endpoints = [one for one in picture.functions.values() if not one.bridge]
    offers = tuple(
        OfferEntry(
            f"offer[{number}]",
            f"example.com/r{number}",
            _match(one, random),
            random.choice(KINDS),
            random.choice((None, None, 1, 3)),
            random.choice(tuple(By)),
        )
        for number, one in enumerate(random.choices(endpoints, k=random.randint(1, 5)) if endpoints else ())
    )
    declared = tuple(
        DeviceEntry(f"devices[{number}]", Match(id=(one.vendor, one.device)), random.choice(("vfio-pci", "nvidia")))
        for number, one in enumerate(random.sample(endpoints, min(len(endpoints), random.randint(0, 2))))
    )
    pfs = tuple(
        VfEntry(f"virtualFunctions[{number}]", Match(id=(one.vendor, one.device)), random.choice((one.num_vfs or 0, 4)))
        for number, one in enumerate(one for one in endpoints if one.total_vfs and random.random() < 0.3)
    )
    sets = tuple(
        UnitSet(f"sets[{number}]", f"set-{number}", tuple(Match(one.address) for one in some), random.random() < 0.5)
        for number in range(random.randint(0, 2))
        if (some := random.sample(endpoints, min(len(endpoints), 2)))
    )
    return Question(NodeState(offers=offers, devices=declared, vfs=pfs, sets=sets), picture)


SEEDS = st.integers(0, 2**32)
QUESTIONS = st.builds(question, st.sampled_from(sorted(PICTURES)), SEEDS)
RANDOM = SEEDS.map(seeded)
"""Drawn as a whole: hypothesis' own would seldom leave the simplest choices."""


def _match(one: PciFunction, random: Random) -> Match:
    by_class = Match(class_name=f"{one.class_code >> 16:02x}")
    return random.choice(
        (by_class, Match(id=(one.vendor, one.device)), Match(id=(one.vendor, one.device), numa=one.numa_node))
    )
