"""What is told of an answer: findings, with numbers and the cheapest cure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from domxml.finding import Finding
from domxml.text import listed
from hostdev.findings.fit import (
    BAR_OUT_OF_REACH,
    BAR_WINDOW_FATAL,
    BAR_WINDOW_TOO_SMALL,
    BAR_WINDOW_UNKNOWN,
    IO_WINDOW_TOO_SMALL,
)
from hostdev.fit.cases import TITLES, Cases, Variant, deciding, outcomes_by
from hostdev.fit.cures import cheapest
from hostdev.fit.domaintree import DomainTree
from hostdev.fit.inputs import Node
from hostdev.fit.pcitree import MIB, Function
from hostdev.fit.solution import Case, Outcome, Solution
from hostdev.inventory.bars import BarKind, size_text

_SHOWN = 4
_WORDS = {
    Outcome.FITS: "all fit",
    Outcome.DEVICES_MISSING: "some get no address",
    Outcome.NO_PCI: "the guest loses all of PCI",
    Outcome.NOT_STARTED: "QEMU does not start",
    Outcome.OUT_OF_REACH: "some lie where nothing reaches them",
    Outcome.DEPENDS: "it depends on more",
}


def unknown_finding(domain: str, reasons: tuple[str, ...]) -> Finding:
    """Tell that nothing can be said."""
    return BAR_WINDOW_UNKNOWN.found(
        domain, f"where the guest's devices would be is not known: {listed(list(reasons), _SHOWN)}", hint=""
    )


def findings_of(domain: str, tree: DomainTree, cases: Cases, outcome: Outcome, node: Node) -> Iterator[Finding]:
    """Tell what is wrong in every case, or what it depends on."""
    if outcome is Outcome.DEPENDS:
        yield _depending(domain, tree, cases, node)
        return
    first = cases.variants[0]
    cure = cheapest(_different(cases), node)
    if outcome in {Outcome.NO_PCI, Outcome.NOT_STARTED}:
        yield BAR_WINDOW_FATAL.found(domain, _fatal(first), hint=cure or None)
    elif outcome is Outcome.OUT_OF_REACH:
        yield BAR_OUT_OF_REACH.found(domain, _out_of_reach(cases), hint=cure or None)
    elif outcome is Outcome.DEVICES_MISSING:
        yield from _missing(domain, cases, cure)
    elif any(variant.solution.bare_ports for variant in cases.variants):
        ports = max(len(variant.solution.bare_ports) for variant in cases.variants)
        yield BAR_WINDOW_TOO_SMALL.found(
            domain, f"all devices get addresses, and {ports} root ports keep nothing for hotplug"
        )
    if tree.unknown_models:
        models = listed(list(tree.unknown_models), _SHOWN)
        yield BAR_WINDOW_UNKNOWN.found(domain, f"what {models} asks for is not known; no address is sure", hint="")


def _different(cases: Cases) -> Iterator[tuple[Case, Solution]]:
    """One of each kind of case is enough to try a cure on."""
    met = set()
    for variant in cases.variants:
        key = (variant.solution.outcome, variant.solution.windows, variant.case.processor, id(variant.case.tree))
        if key not in met:
            met.add(key)
            yield variant.case, variant.solution


def _missing(domain: str, cases: Cases, cure: str) -> Iterator[Finding]:
    worst = max(cases.variants, key=lambda variant: len(variant.solution.missing))
    functions = [worst.case.tree.functions[place] for place in sorted(worst.solution.missing)]
    names = listed([_name(function) for function in functions], _SHOWN)
    short = worst.solution.short
    for variant in cases.variants:
        short &= variant.solution.short
    short = short or worst.solution.short
    if short - {BarKind.IO}:
        message = f"{_count(len(functions), 'function')} get no address: {names}; {_numbers(worst)}"
        yield BAR_WINDOW_TOO_SMALL.found(domain, message, hint=cure or None)
    if BarKind.IO in short:
        space = worst.solution.windows[0]
        room = "" if space is None else f" of {size_text(space.size)}"
        message = f"I/O space{room} is not enough; what is left out for it gets no memory either: {names}"
        yield IO_WINDOW_TOO_SMALL.found(domain, message)


def _fatal(variant: Variant) -> str:
    solution, guest = variant.solution, variant.case.guest
    if solution.outcome is Outcome.NOT_STARTED:
        return (
            f"QEMU does not start: {size_text(guest.most_ram)} of memory and {size_text(guest.hole64)} of pcihole64 "
            f"reach beyond {variant.case.processor.bits} physical bits"
        )
    if BarKind.IO in solution.short and len(solution.short) == 1:
        return "the guest loses all of PCI: there is not enough I/O space, and the firmware stops"
    functions = variant.case.tree.functions
    largest = max(functions, key=lambda f: max((bar.size for bar in f.bars), default=0))
    return f"the guest loses all of PCI, disk and network too; the largest is {_name(largest)}; {_numbers(variant)}"


def _out_of_reach(cases: Cases) -> str:
    variant = max(cases.variants, key=lambda one: len(one.solution.unreachable))
    functions = [variant.case.tree.functions[place] for place in sorted(variant.solution.unreachable)]
    names = listed([_name(function) for function in functions], _SHOWN)
    bits = variant.case.processor.bits
    width = f", the IOMMU maps {variant.case.iommu_bits}" if variant.case.iommu_bits else ""
    return f"addresses that nothing reaches, or that memory has: {names}; the guest shows {bits} physical bits{width}"


def _numbers(variant: Variant) -> str:
    space = variant.solution.windows[2]
    room = "no window" if space is None else f"a window of {size_text(space.size)} at {space.base:#x}"
    return f"all of them take {size_text(variant.solution.asked)} above 4 GiB, and there is {room}"


def _depending(domain: str, tree: DomainTree, cases: Cases, node: Node) -> Finding:
    if tree.unknown_hosts:
        message = f"it is not known what {listed(list(tree.unknown_hosts), _SHOWN)} asks for"
        hint = "take a new snapshot of the node, or ask there: its files tell the registers"
        if not any(":" in host for host in tree.unknown_hosts):
            hint = "its driver makes the registers of a mediated device up, and no file tells them"
        return BAR_WINDOW_UNKNOWN.found(domain, message, hint=hint)
    parts = []
    for axis in deciding(cases):
        told = ", ".join(f"{when}: {_WORDS[outcome]}" for when, outcome in islice(outcomes_by(cases, axis), _SHOWN))
        parts.append(f"{TITLES[axis]} ({told})")
    cure = cheapest(_different(cases), node)
    return BAR_WINDOW_UNKNOWN.found(
        domain, f"it depends on {'; '.join(parts)}", hint=f"this makes it fit: {cure}" if cure else None
    )


def _name(function: Function) -> str:
    registers = [size_text(bar.size) for bar in function.bars if bar.size >= MIB]
    sizes = f" ({' + '.join(registers)})" if registers else ""
    return f"{function.source or function.label}{sizes}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
