"""From a machine and a wish to the writes that fulfil it, in order, and what forbids them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.text import listed
from hostdev.binding import steps
from hostdev.binding.drivers import UNKNOWN, Drivers
from hostdev.binding.effects import Effects, Step, effects_of
from hostdev.binding.obstacles import for_guest, of_host_use, weigh
from hostdev.findings.binding import (
    DRIVER_UNFIT,
    DRIVERS_UNKNOWN,
    FOREIGN_NEW_ID,
    GROUP_NEEDS_CONSENT,
    NO_HOST_DRIVER,
    OVERRIDE_OF_ANOTHER,
    TAKEN_WHEN_LOADED,
)
from hostdev.findings.group import GROUP_NOT_VIABLE
from hostdev.gate.device import would_lose_vfs
from hostdev.gate.driver import removal_finding
from hostdev.gate.group import group_verdict
from hostdev.gate.rule import attribute_evidence, driver_evidence
from hostdev.inventory.machine import Machine, PciFunction
from hostdev.inventory.vfiodrivers import GENERIC, HARMLESS_DRIVERS, is_on_vfio, vfio_driver

_NOTHING: Mapping[PciAddress, str] = MappingProxyType({})


class _Move(NamedTuple):
    """A function and the driver it shall get; None: whichever of the host takes it."""

    function: PciFunction
    goal: str | None
    named: bool


def bind(  # noqa: PLR0913  a wish is made of these
    machine: Machine,
    functions: Iterable[PciFunction],
    driver: str | None = None,
    *,
    with_group: bool = False,
    despite: frozenset[str] = frozenset(),
    drivers: Drivers = UNKNOWN,
) -> Effects:
    """Put functions on the vfio driver that fits, or the one named; those that are on one stay where it is right."""
    named = tuple(functions)
    wanted = frozenset(function.address for function in named)
    moves = [
        _Move(function, _vfio_goal(function, driver, drivers), function.address in wanted)
        for function in (*named, *(_blocking(machine, named) if with_group else ()))
    ]
    todo = [move for move in moves if _is_elsewhere(move, driver)]
    together = wanted | {move.function.address for move in todo}
    found = chain(
        chain.from_iterable(_against_binding(machine, move, together, despite, drivers) for move in todo),
        () if with_group else weigh(_without_consent(machine, named), despite),
        _bridges(machine, named),
        chain.from_iterable(_foreign_ids(move.function) for move in moves if move not in todo),
        _also_bound(machine, todo, drivers),
    )
    return effects_of(_bound(machine, todo, drivers), found)


def unbind(  # noqa: PLR0913  a wish is made of these
    machine: Machine,
    functions: Iterable[PciFunction],
    to: str | None = None,
    *,
    with_group: bool = False,
    despite: frozenset[str] = frozenset(),
    drivers: Drivers = UNKNOWN,
    had: Mapping[PciAddress, str] = _NOTHING,
) -> Effects:
    """Give functions back to the host: to the driver named, else the one that had it, else one that fits."""
    named = tuple(functions)
    wanted = frozenset(function.address for function in named)
    members = _on_vfio_beside(machine, named) if with_group else ()
    moves = [
        _Move(f, to or had.get(f.address) or _only_fit(f, drivers), f.address in wanted) for f in (*named, *members)
    ]
    todo = [move for move in moves if vfio_driver(to) or _is_not_back(move, to, drivers)]
    found = chain.from_iterable(_against_return(machine, move, to, despite, drivers) for move in todo)
    return effects_of(chain(_returned(todo, drivers), _defused(move for move in moves if move not in todo)), found)


def _vfio_goal(function: PciFunction, driver: str | None, drivers: Drivers) -> str:
    if driver is None:
        return next(iter(drivers.variants.get(function.address, ())), GENERIC)
    known = vfio_driver(driver)
    return known.name if known else driver


def _is_elsewhere(move: _Move, driver: str | None) -> bool:
    if move.function.removing:
        # `uevent` names the driver until the end: it may look as if nothing were to do.
        return True
    if driver is None and is_on_vfio(move.function):
        return False
    return move.function.driver != move.goal


def _blocking(machine: Machine, named: Sequence[PciFunction]) -> tuple[PciFunction, ...]:
    """Endpoints of the same groups that a driver of the host has, and that were not named."""
    return tuple(function for function in _blockers(machine, named) if not function.bridge)


def _blockers(machine: Machine, named: Sequence[PciFunction]) -> Iterator[PciFunction]:
    own = {function.address for function in named}
    groups = {group.number: group for function in named if (group := machine.group_of(function.address))}
    for group in groups.values():
        for member in group_verdict(machine, group).blockers:
            if member.address and member.address not in own:
                yield machine.functions[member.address]


def _without_consent(machine: Machine, named: Sequence[PciFunction]) -> Iterator[Finding]:
    for function in named:
        others = _blocking(machine, [function])
        beyond = [other for other in others if other.address not in {one.address for one in named}]
        if beyond and not function.bridge:
            said = listed((f"{other.address} on {other.driver}" for other in beyond), 3)
            yield GROUP_NEEDS_CONSENT.found(
                str(function.address),
                f"its group {function.group} also has {said}",
                evidence=tuple(driver_evidence(other) for other in beyond),
            )


def _bridges(machine: Machine, named: Sequence[PciFunction]) -> Iterator[Finding]:
    for function in _blockers(machine, named):
        if function.bridge:
            yield GROUP_NOT_VIABLE.found(
                str(function.address),
                f"the bridge is on {function.driver}, and a bridge is never taken from its driver",
                hint="use another slot, or a kernel before 5.19",
                evidence=(driver_evidence(function),),
            )


def _against_binding(
    machine: Machine, move: _Move, wanted: frozenset[PciAddress], despite: frozenset[str], drivers: Drivers
) -> Iterator[Finding]:
    # What is accepted is accepted of devices that were named, and of no neighbour.
    accepted = despite if move.named else frozenset[str]()
    function, goal = move.function, str(move.goal)
    yield from for_guest(machine, function, wanted, accepted)
    yield from weigh(_foreign_override(function, goal), accepted)
    known = drivers.looked_up and vfio_driver(goal) is not None
    fits = goal == GENERIC or not known or goal in drivers.variants.get(function.address, ())
    if vfio_driver(goal) is None and goal not in drivers.variants.get(function.address, ()):
        what = f"{goal} is no driver that gives devices to VMs"
        yield DRIVER_UNFIT.found(str(function.address), what, hint="leave --driver out, or see --to of `node unbind`")
    elif not fits:
        yield from weigh([DRIVER_UNFIT.found(str(function.address), f"{goal} is not made for it")], accepted)


def _foreign_override(function: PciFunction, goal: str | None) -> Iterator[Finding]:
    now = function.driver_override
    ours = {None, goal, function.driver}
    # While it is being taken from its driver, what stands there may be ours: that it is being taken forbids enough.
    if not function.removing and now not in ours and not (is_on_vfio(function) and vfio_driver(now)):
        yield OVERRIDE_OF_ANOTHER.found(
            str(function.address),
            f"driver_override says {now}",
            evidence=(attribute_evidence(function.address, steps.OVERRIDE, now),),
        )


def _foreign_ids(function: PciFunction) -> Iterator[Finding]:
    if function.driver == GENERIC and function.driver_override is None:
        yield FOREIGN_NEW_ID.found(
            str(function.address),
            f"{function.driver} has it without a driver_override",
            evidence=(attribute_evidence(function.address, steps.OVERRIDE, "(null)"), driver_evidence(function)),
        )


def _bound(machine: Machine, moves: Sequence[_Move], drivers: Drivers) -> Iterator[Step]:
    """All let go first, and then all are taken: half a group helps no VM."""
    for goal, move in {str(move.goal): move for move in reversed(moves)}.items():
        if not _is_loaded(machine, goal, drivers):
            yield steps.load(goal, move.function.address)
    for move in moves:
        function = move.function
        yield from steps.move(function.address, function.driver, function.driver_override, str(move.goal))
    for move in moves:
        yield steps.probe(move.function.address, move.goal)


def _also_bound(machine: Machine, moves: Sequence[_Move], drivers: Drivers) -> Iterator[Finding]:
    """Loading a driver is a probe of everything that waits for it."""
    own = {move.function.address for move in moves}
    loaded = {move.goal for move in moves if not _is_loaded(machine, str(move.goal), drivers)}
    for function in machine.functions.values():
        if function.driver is None and function.driver_override in loaded and function.address not in own:
            what = f"has no driver, and {function.driver_override} takes it as soon as it is loaded"
            override = attribute_evidence(function.address, steps.OVERRIDE, function.driver_override)
            yield TAKEN_WHEN_LOADED.found(str(function.address), what, evidence=(override,))


def _is_loaded(machine: Machine, driver: str, drivers: Drivers) -> bool:
    if drivers.registered is not None:
        return driver in drivers.registered
    return driver.replace("-", "_") in machine.vfio.modules


def _on_vfio_beside(machine: Machine, named: Sequence[PciFunction]) -> Iterator[PciFunction]:
    own = {function.address for function in named}
    groups = {group.number: group for function in named if (group := machine.group_of(function.address))}
    for address in sorted({member for group in groups.values() for member in group.members} - own):
        function = machine.functions.get(address)
        if function and not function.bridge and is_on_vfio(function):
            yield function


def _only_fit(function: PciFunction, drivers: Drivers) -> str | None:
    """The driver of the one module that fits, where the kernel has one of that name."""
    modules = drivers.modules.get(function.address, ())
    spelled = {name.replace("-", "_"): name for name in drivers.registered or ()}
    return spelled.get(modules[0].replace("-", "_")) if len(modules) == 1 else None


def _is_not_back(move: _Move, to: str | None, drivers: Drivers) -> bool:
    driver = move.function.driver
    if move.function.removing:
        return True
    if driver is None and move.goal is None:
        # Cut off on its way back: several drivers fit, and none has been asked.
        return bool(drivers.modules.get(move.function.address))
    away = driver is None or is_on_vfio(move.function) or driver in HARMLESS_DRIVERS
    # On a driver of the host it stays, unless another was named.
    return driver != move.goal if away or to else False


def _against_return(
    machine: Machine, move: _Move, to: str | None, despite: frozenset[str], drivers: Drivers
) -> Iterator[Finding]:
    accepted = despite if move.named else frozenset[str]()
    function = move.function
    subject = str(function.address)
    if function.removing:
        yield removal_finding(function)
    yield from would_lose_vfs(function)
    yield from weigh(_foreign_override(function, move.goal), accepted)
    yield from of_host_use(machine, function, accepted) if not is_on_vfio(function) else ()
    modules = drivers.modules.get(function.address, ())
    if vfio_driver(to):
        what = f"{to} gives devices to VMs, and the host would not have it back"
        yield DRIVER_UNFIT.found(subject, what, hint="say `passgate node bind` for that")
    elif to and drivers.looked_up and to not in HARMLESS_DRIVERS and not _fits(to, modules):
        fitting = f"{listed(modules, 3)} would fit" if modules else "no module of this kernel is"
        yield from weigh([DRIVER_UNFIT.found(subject, f"{to} is not made for it; {fitting}")], accepted)
    if move.goal is None and not modules:
        if drivers.looked_up:
            yield NO_HOST_DRIVER.found(subject, "no driver of the host is known to take it")
        else:
            yield DRIVERS_UNKNOWN.found(subject, "which driver takes it then, the kernel decides")
    yield from _foreign_ids(function)


def _fits(driver: str, modules: Iterable[str]) -> bool:
    """A module and its driver are mostly called alike: bochs has bochs-drm."""
    spelled = driver.replace("-", "_")
    return any(spelled.startswith(module.replace("-", "_")) for module in modules)


def _returned(moves: Sequence[_Move], drivers: Drivers) -> Iterator[Step]:
    for move in moves:
        function = move.function
        address = function.address
        yield from (steps.load(module, address) for module in _to_load(move, drivers))
        if move.goal:
            yield from steps.move(address, function.driver, function.driver_override, move.goal)
            continue
        # (null) written as a text reads like none, and nothing would ever take the function.
        if function.driver_override is not None or function.driver is None:
            yield steps.override(address, None)
        if function.driver is not None:
            yield steps.unbind(address, function.driver)
    for move in moves:
        address = move.function.address
        if move.goal or drivers.modules.get(address) or not drivers.looked_up:
            yield steps.probe(address, move.goal)
        if move.goal:
            yield steps.override(address, None)


def _to_load(move: _Move, drivers: Drivers) -> tuple[str, ...]:
    """Modules of a driver that is not there yet, as far as they are known."""
    modules = drivers.modules.get(move.function.address, ())
    if move.goal is None:
        return modules
    if move.goal in (drivers.registered or ()):
        return ()
    return tuple(module for module in modules if _fits(move.goal, [module])) or (move.goal,)


def _defused(moves: Iterable[_Move]) -> Iterator[Step]:
    """On a driver of the host with an override for VMs: the next unbind would send it there."""
    for function in (move.function for move in moves):
        if vfio_driver(function.driver_override) and not is_on_vfio(function):
            yield steps.override(function.address, None)
