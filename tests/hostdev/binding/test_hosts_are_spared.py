"""Dry runs of every change of every function on every machine of the tests: no host loses what it stands on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from domxml.pciaddress import PciAddress
from hostdev.binding.effects import Effects, Outcome
from hostdev.binding.obstacles import ACCEPTABLE
from hostdev.binding.plan import bind, unbind
from hostdev.binding.vfs import is_number, vfs
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import is_on_vfio
from tests.hostdev.commands import pictures, real_picture
from tests.hostdev.machines.realhosts import real_hosts

MACHINES = pictures()
EVERYTHING = frozenset(ACCEPTABLE)
NEEDS = ("mounted at", "swap", "held by", "default route", "routes", "part of", "disks over", " over nfs")
"""How uses begin that a host stands on: its root, swap, what lies on disks, its network."""


def _carries(function: PciFunction) -> bool:
    parts = (block.uses for block in function.blocks), (net.uses for net in function.netdevs)
    uses = chain.from_iterable(chain(*parts))
    return any(need in use for use in uses for need in NEEDS)


def needed(machine: Machine) -> frozenset[PciAddress]:
    """Functions under which something of the host hangs: bridges above, and the PF of a VF, too."""
    found: set[PciAddress] = set()
    todo = [one for one in machine.functions.values() if _carries(one)]
    while todo:
        function = todo.pop()
        if function.address in found:
            continue
        found.add(function.address)
        above = (machine.functions.get(one) for one in (function.parent, function.physfn) if one)
        todo += [one for one in above if one is not None]
    return frozenset(found)


def _planned(effects: Effects) -> set[PciAddress]:
    """What a plan would write to, if it may be carried out at all."""
    return {PciAddress.parse(device) for device in effects.devices} if effects.outcome == Outcome.PLANNED else set()


def _plans(machine: Machine, function: PciFunction, despite: frozenset[str] = frozenset()) -> Iterator[Effects]:
    for with_group in (False, True):
        yield bind(machine, [function], with_group=with_group, despite=despite)
        yield unbind(machine, [function], with_group=with_group, despite=despite)
        yield unbind(machine, [function], "pci-stub", with_group=with_group, despite=despite)


@pytest.mark.parametrize("name", MACHINES)
def test_no_planned_write_names_what_the_host_stands_on(name: str) -> None:
    machine = MACHINES[name]
    lost = needed(machine)

    for function in machine.functions.values():
        for plan in _plans(machine, function):
            assert not lost & _planned(plan), (function.address, plan)


@pytest.mark.parametrize("name", MACHINES)
def test_what_is_accepted_is_accepted_of_the_device_that_was_named(name: str) -> None:
    machine = MACHINES[name]
    lost = needed(machine)

    for function in machine.functions.values():
        for plan in _plans(machine, function, EVERYTHING):
            assert lost & _planned(plan) <= {function.address}, (function.address, plan)


@pytest.mark.parametrize("name", MACHINES)
def test_no_vf_on_which_the_host_stands_is_removed(name: str) -> None:
    machine = MACHINES[name]
    lost = needed(machine)

    for function in machine.functions.values():
        for count in (0, 1, 2):
            plan = vfs(machine, function, count, despite=EVERYTHING)
            own = {one.address for one in machine.functions.values() if one.physfn == function.address}
            removes = any(is_number(step) and step.value == "0" for step in plan.steps)
            assert not (plan.outcome == Outcome.PLANNED and removes and own & lost), (function.address, plan)
            assert not _planned(plan) & lost - {function.address}, (function.address, plan)


@pytest.mark.parametrize("name", sorted(real_hosts()))
@pytest.mark.parametrize("quiet", [False, True])
def test_of_real_hosts_no_part_of_the_board_and_nothing_that_must_be_kept_is_taken(name: str, *, quiet: bool) -> None:
    machine = real_picture(name, grouped=True, quiet=quiet)
    kept = {"bridge", "board"} if quiet else {"bridge", "board", "kept"}
    never = {PciAddress.parse(one.address) for one in real_hosts()[name].functions if one.verdict in kept}

    for function in machine.functions.values():
        for plan in _plans(machine, function):
            assert not never & _planned(plan), (function.address, plan)


def test_there_are_machines_with_something_to_lose_and_plans_that_may_be_carried_out() -> None:
    """Else the above would prove nothing."""
    with_disks = sum(1 for machine in MACHINES.values() if needed(machine))
    plans = [
        effects
        for machine in MACHINES.values()
        for function in machine.functions.values()
        if function.driver and not is_on_vfio(function) and not function.bridge
        for effects in (bind(machine, [function], with_group=True),)
    ]
    outcomes = [effects.outcome for effects in plans]

    assert with_disks >= 15
    assert outcomes.count(Outcome.PLANNED) > 100
    assert outcomes.count(Outcome.REFUSED) > 200
