"""What an answer may depend on: every case that the facts allow, and what differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from hostdev.fit.firmware import Firmware, FirmwareKind, OvmfRules, ovmf_rules, seabios_releases
from hostdev.fit.guest import Guest
from hostdev.fit.inputs import Choice
from hostdev.fit.pcitree import Function, RootBus
from hostdev.fit.processor import BITS, GUEST_BITS, PAGES, VENDOR, Processor
from hostdev.fit.solution import Case, Outcome, Solution, Tree, solve

FIRMWARE, DEVICES = "firmware", "devices"
TITLES: Mapping[str, str] = {
    VENDOR: "who made the node's processor",
    BITS: "the physical address bits that the guest's processor shows",
    GUEST_BITS: "whether QEMU and the node's kernel tell the guest GuestPhysBits",
    PAGES: "whether the guest's processor has pages of 1 GiB",
    FIRMWARE: "the release of the firmware",
    DEVICES: "the registers of emulated devices that are not known here",
}


class Variant(NamedTuple):
    """One combination: the number of the value that each thing has, and what comes of it."""

    choice: Mapping[str, int]
    case: Case
    solution: Solution


class Cases(NamedTuple):
    """All of them."""

    axes: Mapping[str, tuple[Choice, ...]]
    variants: tuple[Variant, ...]


def all_cases(
    guest: Guest,
    firmware: Firmware,
    roots: tuple[RootBus, ...],
    processor: Mapping[str, tuple[Choice, ...]],
    iommu_bits: int | None,
) -> Cases:
    """Solve every combination of what is not known."""
    rules = _rules(guest, firmware)
    trees = [Tree(roots)]
    axes = dict(processor)
    axes[FIRMWARE] = tuple(Choice(name, name) for name, _ in rules)
    if any(function.other is not None for function in trees[0].functions):
        trees.append(Tree(tuple(root._replace(functions=_filled(root.functions)) for root in roots)))
        axes[DEVICES] = (Choice(False, "the least there can be"), Choice(True, "the most there can be"))
    variants = []
    for numbers in product(*(range(len(values)) for values in axes.values())):
        chosen = dict(zip(axes, numbers, strict=True))
        case = Case(
            guest,
            _processor(axes, chosen),
            rules[chosen[FIRMWARE]][1],
            trees[chosen.get(DEVICES, 0)],
            iommu_bits,
        )
        variants.append(Variant(chosen, case, solve(case)))
    return Cases(axes, tuple(variants))


def _rules(guest: Guest, firmware: Firmware) -> tuple[tuple[str, OvmfRules | tuple[int, ...] | None], ...]:
    if firmware.kind is FirmwareKind.OVMF:
        return ovmf_rules(firmware, sized=guest.window is not None)
    if firmware.kind is FirmwareKind.SEABIOS:
        return tuple((f"SeaBIOS {'.'.join(map(str, one))}", one) for one in seabios_releases(firmware))
    return ((str(firmware), None),)


def _processor(axes: Mapping[str, tuple[Choice, ...]], chosen: Mapping[str, int]) -> Processor:
    values = {name: axes[name][number].value for name, number in chosen.items()}
    return Processor(
        str(values.get(VENDOR, "")), int(values[BITS]), int(values.get(GUEST_BITS, 0)), bool(values.get(PAGES, True))
    )


def _filled(functions: tuple[Function, ...]) -> tuple[Function, ...]:
    """Give those of which it is not known what they may ask for instead."""
    filled = []
    for function in functions:
        bridge = function.bridge
        if bridge is not None:
            function = function._replace(bridge=bridge._replace(functions=_filled(bridge.functions)))  # noqa: PLW2901
        filled.append(function if function.other is None else function._replace(bars=function.other))
    return tuple(filled)


def outcome_of(variants: tuple[Variant, ...]) -> Outcome:
    """What comes of all of them; `depends` where they differ."""
    outcomes = {variant.solution.outcome for variant in variants}
    return outcomes.pop() if len(outcomes) == 1 else Outcome.DEPENDS


def deciding(cases: Cases) -> Iterator[str]:
    """Name what makes a difference while everything else stays the same."""
    for axis in cases.axes:
        groups: dict[tuple[tuple[str, int], ...], set[tuple[Outcome, frozenset[int]]]] = {}
        for variant in cases.variants:
            rest = tuple(item for item in variant.choice.items() if item[0] != axis)
            groups.setdefault(rest, set()).add((variant.solution.outcome, variant.solution.missing))
        if any(len(group) > 1 for group in groups.values()):
            yield axis


def outcomes_by(cases: Cases, axis: str) -> list[tuple[str, Outcome]]:
    """Tell what comes of each value, those side by side that give the same joined."""
    found: list[tuple[str, str, Outcome]] = []
    for number, choice in enumerate(cases.axes[axis]):
        outcome = outcome_of(tuple(one for one in cases.variants if one.choice[axis] == number))
        if found and found[-1][2] is outcome:
            found[-1] = (found[-1][0], choice.when, outcome)
        else:
            found.append((choice.when, "", outcome))
    return [(f"{first} to {last}" if last else first, outcome) for first, last, outcome in found]
