"""Offers in a few words."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hostdev.binding.state import By, Match, NodeState, OfferEntry, UnitKind
from hostdev.binding.statefile import read_states
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.offer.compose import compose_offer
from hostdev.offer.pool import Offer
from tests.hostdev.gate.build import AUDIO, GPU, NIC, at, function, pf, vf

HEAD = "apiVersion: passgate.dev/v1\nkind: NodeState\nspec:\n"
CARD, VF = "example.com/gpu", "example.com/vf"


def state(text: str) -> NodeState:
    """The state of a document's spec."""
    (found,) = read_states((HEAD + text).encode(), "node.yaml")
    return found


def entry(resource: str, unit: UnitKind | None = None, limit: int | None = None, **match: object) -> OfferEntry:
    return OfferEntry("offer", resource, Match(**match), unit, limit)  # type: ignore[arg-type]


def offered(machine: Machine, *entries: OfferEntry, held: Mapping[str, Collection[str]] | None = None) -> Offer:
    """What these entries offer; each has the place of its number."""
    numbered = tuple(one._replace(place=f"offer[{number}]") for number, one in enumerate(entries))
    return compose_offer(NodeState(offers=numbered), machine, held=held or {})


def primaries(offer: Offer, resource: str) -> list[str]:
    """The primary functions of the units that are listed."""
    return [str(one.unit.primary) for one in offer.of(By.PLUGIN)[resource].units if one.unit]


def ids(offer: Offer, resource: str) -> list[str]:
    return [one.id for one in offer.of(By.PLUGIN)[resource].units]


def card(bus: int, group: int, *, numa: int = 0, root: str = "", **changes: object) -> tuple[PciFunction, ...]:
    """A graphics card with its audio function, in one IOMMU group."""
    both = {"group": group, "numa_node": numa, "root": root or f"pci0000:{bus:02x}", **changes}
    return (
        function(f"0000:{bus:02x}:00.0", class_code=GPU, device=0x1EB8, vfio_dev=f"vfio{2 * group}", **both),
        function(f"0000:{bus:02x}:00.1", class_code=AUDIO, device=0x10F0, vfio_dev=f"vfio{2 * group + 1}", **both),
    )


def port(bus: int, vfs: int, group: int, **changes: object) -> tuple[PciFunction, ...]:
    """A PF with VFs on vfio-pci, each in a group of its own."""
    own = f"0000:{bus:02x}:00.0"
    names = [f"0000:{bus:02x}:{2 + number // 8:02x}.{number % 8}" for number in range(vfs)]
    above = pf(own, num_vfs=vfs, virtfns=tuple(map(at, names)), group=group, root=f"pci0000:{bus:02x}", **changes)
    below = (
        vf(name, own, device=0x154C, class_code=NIC, group=group + 1 + number, root=above.root)
        for number, name in enumerate(names)
    )
    return above, *below
