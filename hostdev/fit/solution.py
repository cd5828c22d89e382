"""One case, everything in it known: what the firmware would do, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from domxml.guestpci.machines import VIRT
from hostdev.fit import edk2, seabios
from hostdev.fit.edk2 import Space, Windows
from hostdev.fit.firmware import OvmfRules
from hostdev.fit.guest import Guest
from hostdev.fit.memory import HYPERTRANSPORT, MemoryMap, memory_map
from hostdev.fit.pcitree import GIB, Function, RootBus, all_functions, needs_64_bit
from hostdev.fit.processor import Processor
from hostdev.fit.windows import arm_windows, ovmf_windows
from hostdev.inventory.bars import BarKind


class Outcome(StrEnum):
    """What comes of a start, the best first."""

    FITS = "fits"
    DEVICES_MISSING = "devices-missing"
    """Some functions get no address at all; the guest boots."""
    OUT_OF_REACH = "out-of-reach"
    """All have addresses, some where nothing reaches them."""
    NO_PCI = "no-pci"
    """The guest loses every PCI device."""
    NOT_STARTED = "not-started"
    """QEMU refuses."""
    DEPENDS = "depends"


class Case(NamedTuple):
    """A guest of which everything is known."""

    guest: Guest
    processor: Processor
    rules: OvmfRules | tuple[int, ...] | None
    """Of OVMF, or SeaBIOS's release; None: AAVMF, whose windows are the machine's."""
    tree: Tree
    iommu_bits: int | None = None


class Solution(NamedTuple):
    """What becomes of it."""

    outcome: Outcome
    windows: tuple[Space | None, Space | None, Space | None]
    """I/O, memory below 4 GiB, memory above."""
    addresses: Mapping[tuple[int, int], int]
    """By function, as its place in the tree, and register."""
    missing: frozenset[int]
    """Functions that get no address, by place in the tree."""
    unreachable: frozenset[int] = frozenset()
    """Functions that get one that nothing reaches."""
    bare_ports: frozenset[int] = frozenset()
    short: frozenset[BarKind] = frozenset()
    """The kinds of which there is not enough."""
    asked: int = 0
    """The bytes of 64-bit memory that all would take."""


class Tree:
    """The functions of a guest, and what was computed for them: the same windows give the same placement."""

    def __init__(self, roots: tuple[RootBus, ...]) -> None:
        self.roots = roots
        self.functions: tuple[Function, ...] = tuple(all_functions(roots))
        self._allocations: dict[tuple[Windows, int], edk2.Allocation] = {}

    def allocate(self, windows: Windows, io_padding: int) -> edk2.Allocation:
        """Do it as edk2 does, once."""
        found = self._allocations.get((windows, io_padding))
        if found is None:
            found = self._allocations[windows, io_padding] = edk2.allocate(self.roots, windows, io_padding=io_padding)
        return found

    @property
    def with_registers(self) -> frozenset[int]:
        """Every function that asks for something, by place."""
        return frozenset(place for place, function in enumerate(self.functions) if function.bars)


def solve(case: Case) -> Solution:
    """Do what QEMU and the firmware do."""
    if case.guest.machine is VIRT:
        return _solve_edk2(case, arm_windows(case.guest, case.processor.bits), 0, None)
    memory = memory_map(case.guest, case.processor)
    if not memory.starts(case.processor.bits):
        return Solution(Outcome.NOT_STARTED, (None, None, None), {}, case.tree.with_registers)
    if isinstance(case.rules, OvmfRules):
        windows = ovmf_windows(case.rules, case.guest, case.processor, memory)
        return _solve_edk2(case, windows, case.rules.io_padding, memory)
    return _solve_seabios(case, case.rules or (), memory)


def _solve_edk2(case: Case, windows: Windows, io_padding: int, memory: MemoryMap | None) -> Solution:
    found = case.tree.allocate(windows, io_padding)
    if not found.programmed:
        missing = case.tree.with_registers
        return Solution(Outcome.NO_PCI, windows[:3], {}, missing, short=found.short, asked=found.asked)
    unreachable = frozenset(_unreachable(case, found.addresses, memory))
    outcome = Outcome.OUT_OF_REACH if unreachable else Outcome.DEVICES_MISSING if found.rejected else Outcome.FITS
    return Solution(
        outcome, windows[:3], found.addresses, found.rejected, unreachable, found.bare_ports, found.short, found.asked
    )


def _solve_seabios(case: Case, release: tuple[int, ...], memory: MemoryMap) -> Solution:
    found = seabios.place(case.tree.roots, release, case.guest, case.processor, memory)
    asked = sum(map(needs_64_bit, case.tree.functions))
    if found.panic is not None:
        short = BarKind.IO if found.panic is seabios.Panic.IO else BarKind.MEM32
        return Solution(
            Outcome.NO_PCI, (None, None, None), {}, case.tree.with_registers, short=frozenset({short}), asked=asked
        )
    functions = case.tree.functions
    addresses, misplaced = {}, set()
    for (place, index), address in found.addresses.items():
        size = next((bar.size for bar in functions[place].bars if bar.index == index), 1)
        # The lowest bits of a register do not exist.
        addresses[place, index] = address & -size
        if address % size:
            misplaced.add(place)
    unreachable = misplaced | set(_unreachable(case, addresses, memory))
    outcome = Outcome.OUT_OF_REACH if unreachable else Outcome.FITS
    windows = (found.io, found.low, found.high)
    return Solution(outcome, windows, addresses, frozenset(), frozenset(unreachable), asked=asked)


def _unreachable(case: Case, addresses: Mapping[tuple[int, int], int], memory: MemoryMap | None) -> Iterator[int]:
    """Find functions beyond the processor's bits or the IOMMU's, in memory, or where AMD's hosts map nothing."""
    taken = [] if memory is None else [Space(memory.above_start, memory.above_end), Space(4 * GIB, memory.hotplug_end)]
    if memory is not None:
        taken.append(Space(0, memory.low))
    limit = 1 << case.processor.bits
    for place, function in enumerate(case.tree.functions):
        forbidden = list(taken)
        end = limit
        if function.source:
            end = min(limit, 1 << case.iommu_bits) if case.iommu_bits else limit
            if case.processor.is_amd and case.guest.kvm:
                forbidden.append(Space(*HYPERTRANSPORT))
        for bar in function.bars:
            base = addresses.get((place, bar.index))
            if base is None or bar.kind is BarKind.IO:
                continue
            here = Space(base, base + bar.size)
            if here.end > end or any(here.base < other.end and here.end > other.base for other in forbidden):
                yield place
                break
