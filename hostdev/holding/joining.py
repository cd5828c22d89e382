"""From what kubelet granted to host devices: plugins name theirs by address, by IOMMU group, by UUID or by nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from domxml.source import HostDevice, Mdev
from hostdev.allocation import tokens
from hostdev.allocation.channels import ENVIRONMENT
from hostdev.allocation.environment import from_environment
from hostdev.kubelet.grant import Grant
from hostdev.machine import Machine
from hostdev.vfiodrivers import is_on_vfio

_NODE = re.compile(r"/dev/vfio/(?:noiommu-)?([0-9]{1,9})", re.ASCII)
_CDEV = re.compile(r"/dev/vfio/devices/(vfio[0-9]{1,9})", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


class Joined(NamedTuple):
    """One device that a grant, or a plugin's name for a device, stands for."""

    device: HostDevice
    by: str
    """What names it: `environment QAT0`, `device ID 0000:3d:02.2`, `/dev/vfio/43`."""
    exact: bool = True
    """Not where a group of several devices is named, and it may be any of them."""


def devices(grant: Grant, machine: Machine) -> tuple[Joined, ...]:
    """Each device once. The plugin's variables tell best, then its names; then the nodes of what neither told."""
    found = _each_once((*_of_environment(grant), *_of_names(grant.device_ids)))
    known = {one.device for one in found}
    for node in grant.nodes:
        behind = tuple(_of_node(node, machine))
        if known.isdisjoint(one.device for one in behind):
            found += behind
    return _each_once(found)


def named(device_ids: Iterable[str], machine: Machine) -> tuple[Joined, ...]:
    """The devices behind the bare names that a plugin gives to its devices, with nothing else to go by."""
    ids = tuple(device_ids)
    return _each_once((*_of_names(ids), *_of_groups(ids, machine)))


@lru_cache(maxsize=4096)  # All grants of a node are looked at for each VM that starts.
def _of_environment(grant: Grant) -> tuple[Joined, ...]:
    variables = dict(grant.environment)
    resources = {grant.resource: len(grant.device_ids)}
    allocations = from_environment(variables, resources, channel=ENVIRONMENT).allocations
    return tuple(Joined(one.device, one.sources[0]) for one in allocations if isinstance(one.device, PciAddress | Mdev))


def _of_names(device_ids: Iterable[str]) -> Iterator[Joined]:
    for name in device_ids:
        device = tokens.classify(name)
        if isinstance(device, PciAddress | Mdev):
            yield Joined(device, f"device ID {name}")


def _of_node(node: str, machine: Machine) -> Iterator[Joined]:
    group, cdev = _NODE.fullmatch(node), _CDEV.fullmatch(node)
    if group:
        yield from _of_group(int(group[1]), node, machine)
    elif cdev:
        functions = machine.functions.items()
        yield from (Joined(address, node) for address, function in functions if function.vfio_dev == cdev[1])


def _of_groups(device_ids: Iterable[str], machine: Machine) -> Iterator[Joined]:
    """Plugins that count their devices 0, 1, 2 look the same: a group is believed only if VFIO has all of it."""
    numbers = [int(name) for name in device_ids if _NUMBER.fullmatch(name)]
    found = {number: tuple(_of_group(number, f"device ID {number}", machine)) for number in numbers}
    if all(joined and all(_is_vfios(one.device, machine) for one in joined) for joined in found.values()):
        for joined in found.values():
            yield from joined


def _of_group(number: int, by: str, machine: Machine) -> Iterator[Joined]:
    group = machine.groups.get(number)
    members = [machine.functions[address] for address in group.members if address in machine.functions] if group else []
    found: list[HostDevice] = [function.address for function in members if not function.bridge]
    found += [Mdev(mdev.uuid) for mdev in machine.mdevs.values() if mdev.group == number]
    for device in found:
        yield Joined(device, by, exact=len(found) == 1)


def _is_vfios(device: HostDevice, machine: Machine) -> bool:
    return isinstance(device, Mdev) or is_on_vfio(machine.functions[device])


def _each_once(found: Iterable[Joined]) -> tuple[Joined, ...]:
    once: dict[HostDevice, Joined] = {}
    for joined in found:
        once.setdefault(joined.device, joined)
    return tuple(once.values())
