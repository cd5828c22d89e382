"""The PCI tree of a machine: host bridges, what hangs below them, and VFs below the function that makes them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from domxml.pciaddress import PciAddress
from hostdev.machine import Machine


@dataclass(frozen=True, slots=True)
class Knot:
    """A function, the functions on the bus below it, and its VFs."""

    address: PciAddress
    below: tuple[Knot, ...] = ()
    vfs: tuple[PciAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Root:
    """A host bridge and its tree."""

    name: str
    numa: int | None
    knots: tuple[Knot, ...]


def forest(machine: Machine) -> tuple[Root, ...]:
    """Every host bridge, in the order of its first function."""
    below: dict[PciAddress | None, list[PciAddress]] = defaultdict(list)
    vfs: dict[PciAddress, list[PciAddress]] = defaultdict(list)
    for address, function in sorted(machine.functions.items()):
        if function.physfn is not None and function.physfn in machine.functions:
            vfs[function.physfn].append(address)
        else:
            below[function.parent if function.parent in machine.functions else None].append(address)

    def knot(address: PciAddress) -> Knot:
        return Knot(address, tuple(map(knot, below.get(address, ()))), tuple(vfs.get(address, ())))

    tops: dict[str, list[Knot]] = defaultdict(list)
    for address in below[None]:
        tops[machine.functions[address].root].append(knot(address))
    return tuple(Root(name or "no host bridge", _numa(machine, knots), tuple(knots)) for name, knots in tops.items())


def _numa(machine: Machine, knots: list[Knot]) -> int | None:
    """The NUMA node of most functions below a host bridge."""
    nodes = Counter(machine.functions[address].numa_node for address in _addresses(knots))
    return next((node for node, _ in nodes.most_common() if node is not None), None)


def _addresses(knots: Iterable[Knot]) -> Iterator[PciAddress]:
    for knot in knots:
        yield knot.address
        yield from _addresses(knot.below)
