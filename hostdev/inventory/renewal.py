"""A picture of a machine with some of its functions looked at again: a whole look takes too long for one change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from domxml.pciaddress import PciAddress
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.platform import nodes_of


def renew_picture(before: Machine, part: Machine, looked_at: Collection[PciAddress]) -> Machine:
    """Put a picture of some functions, with what belongs to them, into that of the whole machine.

    What was looked at and is not in the part is gone; so is a group of such functions.
    """
    old = [function for address in looked_at if (function := before.functions.get(address))]
    numbers = {function.group for function in old} - {None}
    groups = {number: group for number, group in before.groups.items() if number not in numbers} | dict(part.groups)
    seen = {*looked_at, *part.functions}
    functions = {address: one for address, one in before.functions.items() if address not in seen}
    functions |= part.functions
    return replace(
        before,
        functions=dict(sorted(functions.items())),
        groups=dict(sorted(groups.items())),
        mdevs={mdev.uuid: mdev for function in functions.values() for mdev in function.mdevs},
        vfio=replace(part.vfio, nodes=_nodes(before, part, old)),
        unread=tuple(dict.fromkeys((*_still_unread(before, seen), *part.unread))),
    )


def _nodes(before: Machine, part: Machine, old: Collection[PciFunction]) -> tuple[str, ...] | None:
    """The part holds those that its functions may have, and are there."""
    if part.vfio.nodes is None or before.vfio.nodes is None:
        return part.vfio.nodes
    concerned = (*old, *part.functions.values())
    named = {*nodes_of(concerned, {one.group for one in concerned if one.group is not None})}
    return tuple(sorted((*(node for node in before.vfio.nodes if node not in named), *part.vfio.nodes)))


def _still_unread(before: Machine, seen: Collection[PciAddress]) -> list[tuple[str, str]]:
    names = frozenset(map(str, seen))
    return [(path, why) for path, why in before.unread if names.isdisjoint(path.split("/"))]
