"""Takes the picture of a machine: of the whole host, or of some functions and all that decides about them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from domxml.pciaddress import PciAddress
from hostdev.inventory.functions import DEVICES, Functions
from hostdev.inventory.host import Host
from hostdev.inventory.hostuse import with_what_is_below
from hostdev.inventory.machine import Cpu, IommuGroup, Machine, PciFunction
from hostdev.inventory.platform import (
    each_group,
    nodes_of,
    read_cpu,
    read_group,
    read_iommu,
    read_kernel,
    read_node_cpus,
    read_vfio,
)
from hostdev.inventory.sysfs import Addresses

RESET_METHOD_KERNEL = (5, 15)
"""From here on the kernel says how it can reset a function."""


def scan(
    host: Host,
    *,
    only: Collection[PciAddress] | None = None,
    use: bool = True,
    bars: bool = False,
    health: bool = False,
) -> Machine:
    """Look at the host.

    With `only`, the picture holds these functions, their IOMMU groups with all members, their PFs and the bridges
    above them, each read in full, and of VFIO's nodes those that are theirs. Without, it holds everything, and
    trusts that the VFs of one PF are alike: in what their hardware decides, and in how those on the same vfio driver
    came there. Without `use` it is not looked at what the host does with them, nor at their interfaces and disks.
    With `bars` it is looked at the sizes of BARs, and at how wide the addresses of processor and IOMMU are; with
    `health` at what the kernel remembers of each function's life.
    """
    with _uncollected():
        picture = _picture(host, only, use=use, bars=bars)
        return _with_health(host, picture) if health else picture


def _picture(host: Host, only: Collection[PciAddress] | None, *, use: bool, bars: bool) -> Machine:
    kernel = read_kernel(host)
    addresses = Addresses()
    reader = Functions(host, addresses, resets_known=kernel.version >= RESET_METHOD_KERNEL, use=use, bars=bars)
    if only is None:
        functions = reader.each()
        groups = each_group(host, addresses, functions)
        nodes = None
    else:
        functions, groups = _around(host, addresses, reader, only)
        nodes = nodes_of(functions.values(), groups)
    if use:
        functions = with_what_is_below(functions, complete=only is None)
    return Machine(
        functions=functions,
        groups=groups,
        mdevs={mdev.uuid: mdev for function in functions.values() for mdev in function.mdevs},
        iommu=read_iommu(host, width=bars),
        vfio=read_vfio(host, nodes),
        kernel=kernel,
        cpu=read_cpu(host) if bars else Cpu(),
        node_cpus=read_node_cpus(host),
        source=host.source,
        unread=host.unread,
    )


def _with_health(host: Host, machine: Machine) -> Machine:
    from hostdev.inventory.health import read_health  # noqa: PLC0415  no hook looks at it

    functions = dict(machine.functions)
    for address, function in functions.items():
        path = None if function.bridge else host.leads_to(f"{DEVICES}/{address}")
        if path is not None:
            functions[address] = replace(function, health=read_health(host, path))
    return replace(machine, functions=functions, unread=host.unread)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Spare the collector a picture in the making: thousands of values, and none of them garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _around(
    host: Host, addresses: Addresses, reader: Functions, only: Collection[PciAddress]
) -> tuple[dict[PciAddress, PciFunction], dict[int, IommuGroup]]:
    functions = reader.some(sorted(only))
    numbers = sorted({function.group for function in functions.values() if function.group is not None})
    found = (read_group(host, addresses, number) for number in numbers)
    groups = {group.number: group for group in found if group is not None}
    asked = set(only)
    members = {member for group in groups.values() for member in group.members} - asked
    functions |= reader.some(sorted(members))
    asked |= members
    while nearby := _relatives(functions.values()) - asked:
        asked |= nearby
        functions |= reader.some(sorted(nearby), relatives=True)
    return dict(sorted(functions.items())), groups


def _relatives(functions: Iterable[PciFunction]) -> set[PciAddress]:
    """PFs, and the bridges above."""
    return {relative for f in functions for relative in (f.physfn, f.parent) if relative is not None}


def looker(host: str, *, use: bool = False, bars: bool = False) -> Callable[[], Machine | None]:
    """A function that takes the picture when it is needed; for `none` there is none.

    What the host does with functions is looked at for commands only: a hook has no time for it, and offers nothing.
    """

    def look() -> Machine | None:
        if host == "none":
            return None
        from hostdev.inventory.recorded.layout import open_host  # noqa: PLC0415  it reads recorded machines, too

        with open_host(host) as opened:
            return scan(opened, use=use, bars=bars)

    return look
