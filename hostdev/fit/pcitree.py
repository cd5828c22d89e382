"""The guest's PCI functions as its firmware meets them: buses in order, bridges, and what each function asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.inventory.bars import Bar, BarKind

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
WIDE = frozenset({BarKind.MEM64, BarKind.PREF64})
"""What can lie above 4 GiB."""
VGA_CLASS = 0x0300
USB_CLASS = 0x0C03


class Reservation(NamedTuple):
    """What a port is to keep for hotplug, as QEMU tells the firmware; None is left to the firmware."""

    io: int | None = None
    mem32: int | None = None
    pref32: int | None = None
    pref64: int | None = None


class Bridge(NamedTuple):
    """The bus behind a function that is a bridge."""

    functions: tuple[Function, ...]
    hotplug: bool
    """Whether its slot, or its standard controller, says that it takes hotplug."""
    slot: bool = True
    """A port with a slot, hotplug or not."""
    shpc: bool = False
    """A conventional bridge with a hotplug controller."""
    reservation: Reservation = Reservation()


class Function(NamedTuple):
    """One PCI function."""

    label: str
    address: PciAddress | None
    """As libvirt counts: its bus is the index of a controller."""
    bars: tuple[Bar, ...] = ()
    pci_class: int = 0
    """Class and subclass; 0 where it makes no difference."""
    rom: int = 0
    bridge: Bridge | None = None
    source: str = ""
    """The host's device, where it is one."""
    alias: str = ""
    other: tuple[Bar, ...] | None = None
    """What it may ask for instead, where that is not known: of a model in no table, as much as there can be."""


class RootBus(NamedTuple):
    """A bus without a bridge above it: bus 0, and expander buses."""

    number: int
    functions: tuple[Function, ...]


def walk(functions: tuple[Function, ...]) -> Iterator[Function]:
    """Every function from here on, each before those behind it."""
    for function in functions:
        yield function
        if function.bridge is not None:
            yield from walk(function.bridge.functions)


def all_functions(roots: tuple[RootBus, ...]) -> Iterator[Function]:
    """Every function of the guest."""
    for root in roots:
        yield from walk(root.functions)


def round_up(value: int, alignment: int) -> int:
    """To a multiple."""
    return -(-value // alignment) * alignment


def power_of_two_from(value: int) -> int:
    """The next power of two that is not smaller."""
    return 1 << max(value - 1, 0).bit_length()


def needs_64_bit(function: Function) -> int:
    """The bytes of its 64-bit registers."""
    return sum(bar.size for bar in function.bars if bar.kind in WIDE)
