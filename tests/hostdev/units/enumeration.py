"""The same machine, enumerated otherwise: other bus numbers, other groups, another order of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import TypeVar

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import IommuGroup, Machine

K = TypeVar("K")
V = TypeVar("V")


def seeded(seed: int | str) -> Random:
    return Random(seed)  # noqa: S311  nothing is kept secret by it


def shuffled(mapping: Mapping[K, V], random: Random) -> dict[K, V]:
    items = list(mapping.items())
    random.shuffle(items)
    return dict(items)


def relisted(picture: Machine, random: Random) -> Machine:
    """As another order of sysfs shows it."""
    groups = {
        number: replace(group, members=tuple(random.sample(group.members, len(group.members))))
        for number, group in shuffled(picture.groups, random).items()
    }
    return replace(picture, functions=shuffled(picture.functions, random), groups=groups)


def renumbered(picture: Machine, random: Random) -> Machine:
    """After a boot that counts the buses below bridges, and the IOMMU groups, otherwise."""
    below = {a for a, one in picture.functions.items() if one.parent is not None or one.physfn is not None}
    buses = sorted({(a.domain, a.bus) for a in below})
    # In domains that the machine does not have yet, so that nothing meets what stays.
    others = [(domain + 0x40, bus) for domain, bus in random.sample(buses, len(buses))]
    place = dict(zip(buses, others, strict=True))

    def moved(address: PciAddress) -> PciAddress:
        if address not in below:
            return address
        domain, bus = place[address.domain, address.bus]
        return address._replace(domain=domain, bus=bus)

    numbers = sorted({*picture.groups, *(one.group for one in picture.functions.values() if one.group is not None)})
    group_of = dict(zip(numbers, random.sample(range(1000, 1000 + 2 * len(numbers)), len(numbers)), strict=True))
    functions = {
        moved(one.address): replace(
            one,
            address=moved(one.address),
            parent=one.parent and moved(one.parent),
            physfn=one.physfn and moved(one.physfn),
            virtfns=tuple(map(moved, one.virtfns)),
            group=None if one.group is None else group_of[one.group],
        )
        for one in picture.functions.values()
    }
    groups = {
        group_of[number]: IommuGroup(
            group_of[number], tuple(map(moved, group.members)), group.others, group.type, group.name
        )
        for number, group in picture.groups.items()
    }
    return replace(picture, functions=functions, groups=groups)
