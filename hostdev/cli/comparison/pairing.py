"""Which function of the older machine is which of the newer one, though addresses move."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from domxml.pciaddress import PciAddress
from hostdev.machine import Machine, PciFunction

Pairs = Mapping[PciAddress, PciAddress]
"""New addresses by old ones."""
_Kind = tuple[int | None, ...]


def paired(old: Machine, new: Machine) -> Pairs:
    """The same device in both: at one address, or moved when there are as many of its kind; VFs follow their PF."""
    before, after = _apart_from_vfs(old), _apart_from_vfs(new)
    same = {address for address in before & after if _kind(old, address) == _kind(new, address)}
    left, right = _by_kind(old, before - same), _by_kind(new, after - same)
    pairs = {address: address for address in same}
    for kind, addresses in left.items():
        if len(addresses) == len(right.get(kind, ())):
            pairs |= zip(addresses, right[kind], strict=True)
    for pf, moved in tuple(pairs.items()):
        pairs |= zip(vfs(old, pf), vfs(new, moved), strict=False)
    return dict(sorted(pairs.items()))


def vfs(machine: Machine, pf: PciAddress) -> list[PciAddress]:
    """The VFs of a function, by their number."""
    return [address for address in machine.functions[pf].virtfns if address in machine.functions]


def is_vf_of_known(machine: Machine, function: PciFunction) -> bool:
    """Whether a function is the VF of one that the machine has."""
    return function.physfn in machine.functions


def _apart_from_vfs(machine: Machine) -> set[PciAddress]:
    return {address for address, function in machine.functions.items() if not is_vf_of_known(machine, function)}


def _by_kind(machine: Machine, addresses: Iterable[PciAddress]) -> Mapping[_Kind, list[PciAddress]]:
    found: dict[_Kind, list[PciAddress]] = defaultdict(list)
    for address in sorted(addresses):
        found[_kind(machine, address)].append(address)
    return found


def _kind(machine: Machine, address: PciAddress) -> _Kind:
    f = machine.functions[address]
    return (f.vendor, f.device, f.subsystem_vendor, f.subsystem_device, f.class_code)
