"""What to type to bind devices to vfio-pci, where that does the host no harm and fits into one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hostdev import pciclasses
from hostdev.machine import BlockDevice, NetDevice, PciFunction
from hostdev.vfiodrivers import GENERIC


def harm(function: PciFunction) -> str | None:
    """What the host would lose with a function; None if nothing is known of."""
    holders: tuple[NetDevice | BlockDevice, ...] = (*function.netdevs, *function.blocks)
    uses = [f"{holder.name} ({use})" for holder in holders for use in holder.uses]
    if uses:
        return uses[0]
    if function.boot_vga and function.driver:
        return "the console"
    if function.num_vfs:
        return f"its {function.num_vfs} VFs"
    part = pciclasses.PLATFORM.get(pciclasses.subclass(function.class_code))
    return f"its {part}" if part else None


def bind_command(functions: Iterable[PciFunction]) -> str:
    """One line of shell that binds functions to vfio-pci, each by its address alone."""
    several = list(functions)
    names = " ".join(str(function.address) for function in several)
    unbind = "echo $d >$d/driver/unbind; " if any(function.driver for function in several) else ""
    return (
        f"cd /sys/bus/pci/devices; for d in {names}; do echo {GENERIC} >$d/driver_override; "
        f"{unbind}echo $d >../drivers_probe; done"
    )


def bind(function: PciFunction) -> str:
    """How to bind one function, or why not to."""
    lost = harm(function)
    return f"the host would lose {lost}: choose another device" if lost else bind_command([function])


def free_members(functions: Sequence[PciFunction], room: int) -> str:
    """How to make members of an IOMMU group let go of it, in so many characters, or why not to."""
    for function in functions:
        lost = harm(function)
        if lost:
            return f"the host would lose {lost}: move the card to a slot of its own IOMMU group"
    bridges = [function for function in functions if function.bridge]
    if bridges:
        first = bridges[0]
        return f"unbind the bridge: echo {first.address} >/sys/bus/pci/drivers/{first.driver}/unbind"
    command = bind_command(functions)
    if len(command) < room:
        return command
    return f"bind these {len(functions)} to {GENERIC} too, each by driver_override and drivers_probe"
