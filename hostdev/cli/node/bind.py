"""`passgate node bind` and `unbind`: which driver has a device."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from domxml.pciaddress import PciAddress
from hostdev.binding import plan
from hostdev.binding.drivers import Drivers, find_drivers
from hostdev.binding.effects import Effects
from hostdev.binding.journal import Journal
from hostdev.cli import changes
from hostdev.cli.devices import LIVE, Device, list_devices
from hostdev.inventory import pciids
from hostdev.inventory.devicenames import find_addresses, find_called
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.recorded.layout import open_host
from hostdev.printing.cells import Cell, Column, Fit, Row, Tone, dash
from hostdev.printing.screen import Screen

COLUMNS = (Column("GROUP"), Column("ADDRESS"), Column("DEVICE", Fit.CUT), Column("DRIVER"), Column("USED BY", Fit.WRAP))


def bind(arguments: argparse.Namespace) -> int:
    """Put devices on a vfio driver."""
    machine, functions, drivers = _found(arguments)
    effects = plan.bind(
        machine,
        functions,
        None if arguments.driver in {None, "auto"} else arguments.driver,
        with_group=arguments.with_group,
        despite=changes.accept_codes(arguments.despite),
        drivers=drivers,
    )
    return _done(arguments, machine, functions, effects, "bind")


def unbind(arguments: argparse.Namespace) -> int:
    """Give devices back to the host."""
    machine, functions, drivers = _found(arguments)
    journal = Journal(Path(arguments.state_dir))
    effects = plan.unbind(
        machine,
        functions,
        arguments.to,
        with_group=arguments.with_group,
        despite=changes.accept_codes(arguments.despite),
        drivers=drivers,
        had=journal.drivers_before(functions) if arguments.host == LIVE else {},
    )
    return _done(arguments, machine, functions, effects, "unbind")


def _found(arguments: argparse.Namespace) -> tuple[Machine, tuple[PciFunction, ...], Drivers]:
    machine = changes.machine_of(arguments.host)
    functions = _named(machine, arguments.address)
    around = [machine.functions[one] for one in _around(machine, functions)]
    with open_host(arguments.host) as host:
        return machine, functions, find_drivers(host, machine.kernel.release, around)


def _named(machine: Machine, words: Sequence[str]) -> tuple[PciFunction, ...]:
    """Each function once; of a group that is named as such the bridges are left out: they stay where they are."""
    found: dict[PciAddress, PciFunction] = {}
    for word in words:
        called = find_called(machine, word)
        whole = called.group is not None
        kept = [one for one in called.functions if not (whole and one.bridge)]
        if not kept or called.mdev is not None:
            find_addresses(machine, [word])
        found.update((function.address, function) for function in kept)
    return tuple(found.values())


def _around(machine: Machine, functions: Sequence[PciFunction]) -> list[PciAddress]:
    """The functions named, and all that share their groups."""
    groups = [group for function in functions if (group := machine.group_of(function.address))]
    members = {function.address for function in functions} | {one for group in groups for one in group.members}
    return sorted(members & machine.functions.keys())


def _done(
    arguments: argparse.Namespace, machine: Machine, functions: Sequence[PciFunction], effects: Effects, verb: str
) -> int:
    if arguments.output == "text":
        _show_groups(arguments, machine, functions)
    what = " ".join([verb, *(str(function.address) for function in functions)])
    return changes.carry_out(arguments, effects, machine, what)


def _show_groups(arguments: argparse.Namespace, machine: Machine, functions: Sequence[PciFunction]) -> None:
    """Every member of the groups with what is on it: a group goes to one owner as a whole."""
    screen = Screen.of(arguments.color)
    named = {function.address for function in functions}
    namer = pciids.namer(arguments.pci_ids, live=arguments.host == LIVE)
    shown = list_devices(machine, namer, _around(machine, functions))
    screen.table(COLUMNS, [_row(device, named=device.function.address in named) for device in shown])
    screen.line()


def _row(device: Device, *, named: bool) -> Row:
    function = device.function
    return (
        dash(function.group),
        Cell(str(function.address), Tone.STRONG if named else Tone.PLAIN),
        device.title,
        dash(function.driver),
        dash("; ".join(device.users)),
    )
