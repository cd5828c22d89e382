"""What would make it fit: each thing that people can change is tried, the cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from domxml.guestpci.machines import VIRT
from hostdev.fit.firmware import OVMF_RELEASES, OvmfRules
from hostdev.fit.inputs import Node
from hostdev.fit.pcitree import MIB, Bridge, Function, RootBus, needs_64_bit, power_of_two_from
from hostdev.fit.processor import MOST_BITS
from hostdev.fit.solution import Case, Outcome, Solution, Tree, solve

Change = Callable[[Case], Case | None]


class Cure(NamedTuple):
    """A change, and how to make it."""

    advice: str
    change: Change


def cheapest(cases: Iterable[tuple[Case, Solution]], node: Node) -> str:
    """Find the first change that makes every case fit; empty where none does."""
    bad = [(case, solution) for case, solution in cases if solution.outcome is not Outcome.FITS]
    if not bad:
        return ""
    advice = _first_that_helps(bad, node)
    if advice:
        return advice
    # No change makes up for a firmware that old, and few have it.
    newer = [(case, solution) for case, solution in bad if not _is_classic(case)]
    advice = _first_that_helps(newer, node) if newer and len(newer) < len(bad) else ""
    return f"{advice}; and OVMF 2022.11 or newer" if advice else ""


def _first_that_helps(bad: list[tuple[Case, Solution]], node: Node) -> str:
    for cure in _cures(bad, node):
        changed = [cure.change(case) for case, _ in bad]
        if all(one is not None and solve(one).outcome is Outcome.FITS for one in changed):
            return cure.advice
    return ""


def _is_classic(case: Case) -> bool:
    return isinstance(case.rules, OvmfRules) and not case.rules.dynamic


def _cures(bad: list[tuple[Case, Solution]], node: Node) -> Iterator[Cure]:
    guest, rules = bad[0][0].guest, bad[0][0].rules
    if guest.machine is not VIRT:
        yield from _more_bits(bad, node)
        if isinstance(rules, OvmfRules) and guest.kvm:
            yield Cure(
                "a machine type from pc-q35-9.1 on, and Linux 6.10 or newer on the node: then the firmware believes "
                "the bits that it sees",
                _told_guest_bits,
            )
    if any(solution.outcome is Outcome.NOT_STARTED for _, solution in bad):
        yield Cure("a smaller <pcihole64>: no firmware uses it, and QEMU wants room for it", _no_hole)
    yield Cure("<target hotplug='off'/> on the empty root ports, or fewer of them", _without_empty_ports)
    yield Cure("<target hotplug='off'/> on all root ports", _without_reservations)
    yield Cure("a root port for each device instead of a place on bus 0", _behind_ports)
    if isinstance(rules, tuple) and not isinstance(rules, OvmfRules):
        yield Cure("UEFI firmware (OVMF) in place of SeaBIOS", _uefi)
    if isinstance(rules, OvmfRules):
        yield Cure("OVMF 2026.11 or newer, whose window is twice as large", _newest)
        yield from _window_sizes(bad)


def _more_bits(bad: list[tuple[Case, Solution]], node: Node) -> Iterator[Cure]:
    """Show the node's bits; where they are not known, tell how many it takes."""
    shown = max(case.processor.bits for case, _ in bad)
    for bits in [node.bits] if node.bits is not None else range(41, MOST_BITS + 1):
        if bits > shown:
            takes = f"the node has {bits}" if node.bits is not None else f"a node with {bits} or more is needed"
            yield Cure(
                "show the guest the node's physical bits: <cpu mode='host-passthrough'/>, or "
                f"<maxphysaddr mode='passthrough'/> in <cpu>; {takes}",
                partial(_with_bits, bits),
            )


def _with_bits(bits: int, case: Case) -> Case:
    return case._replace(processor=case.processor._replace(bits=bits, large_pages=True))


def _told_guest_bits(case: Case) -> Case | None:
    return case._replace(processor=case.processor._replace(guest_bits=MOST_BITS))


def _no_hole(case: Case) -> Case | None:
    return case._replace(guest=case.guest._replace(hole64=0))


def _without_empty_ports(case: Case) -> Case | None:
    return _with_bridges(case, lambda bridge: bridge if bridge.functions else bridge._replace(hotplug=False))


def _without_reservations(case: Case) -> Case | None:
    return _with_bridges(case, lambda bridge: bridge._replace(hotplug=False))


def _with_bridges(case: Case, change: Callable[[Bridge], Bridge]) -> Case:
    def changed(functions: tuple[Function, ...]) -> tuple[Function, ...]:
        return tuple(
            function if function.bridge is None else function._replace(bridge=changed_bridge(function.bridge))
            for function in functions
        )

    def changed_bridge(bridge: Bridge) -> Bridge:
        return change(bridge)._replace(functions=changed(bridge.functions))

    return case._replace(tree=Tree(tuple(root._replace(functions=changed(root.functions)) for root in case.tree.roots)))


def _behind_ports(case: Case) -> Case | None:
    first, *others = case.tree.roots
    if not any(function.source and needs_64_bit(function) for function in first.functions):
        return None
    functions = tuple(
        Function("", None, bridge=Bridge((function,), hotplug=True)) if function.source else function
        for function in first.functions
    )
    return case._replace(tree=Tree((RootBus(0, functions), *others)))


def _uefi(case: Case) -> Case | None:
    return case._replace(rules=OVMF_RELEASES[-2][1])


def _newest(case: Case) -> Case | None:
    return case._replace(rules=OVMF_RELEASES[-1][1])


def _window_sizes(bad: list[tuple[Case, Solution]]) -> Iterator[Cure]:
    wanted = max(solution.asked for _, solution in bad)
    for factor in (1, 2):
        size = power_of_two_from(wanted) * factor
        advice = f"-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string={size // MIB} in <qemu:commandline>"
        if size:
            yield Cure(advice, partial(_with_window, size))


def _with_window(size: int, case: Case) -> Case:
    return case._replace(guest=case.guest._replace(window=size))
