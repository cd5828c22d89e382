"""How SeaBIOS places BARs: sizes of buses from the leaves up, and regions without an upper limit."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import count
from typing import NamedTuple

from domxml.guestpci.machines import I440FX
from hostdev.fit.edk2 import Space
from hostdev.fit.guest import Guest
from hostdev.fit.memory import HYPERTRANSPORT, MemoryMap
from hostdev.fit.pcitree import GIB, KIB, MIB, TIB, USB_CLASS, WIDE, Bridge, Function, RootBus, round_up
from hostdev.fit.processor import Processor
from hostdev.inventory.bars import BarKind

_LOW_END = 0xFEC00000
_LOW_START_ON_Q35 = 0xC0000000
_LEAST_MEMORY, _LEAST_BEHIND_BRIDGE, _LEAST_IO_BEHIND_BRIDGE = 4 * KIB, 2 * MIB, 4 * KIB
_PORT_SHIFT, _PADDING_SHIFT = 11, 3
_WRAP = 1 << 64
_IO_TRADITIONAL, _IO_LARGE = 0xC000, 0x1000
_IO_END = {True: 0xA000, False: 0x10000}
"""On a PC without PCI Express, and with it."""
_ROM = 6
_SINCE_TOP = (1, 16, 3)
"""The first release that puts the window at the top of the address space, and keeps room in it."""
_SINCE_44_BITS = (1, 17)
_SINCE_ALIGNED = (1, 17)
_SINCE_KNOB = (1, 17)
"""The first release with `opt/org.seabios/pci64`."""


class Region(StrEnum):
    """SeaBIOS's three kinds, in its order."""

    IO = "io"
    MEM = "mem"
    PREF = "pref"


_REGION_OF = {
    BarKind.IO: Region.IO,
    **dict.fromkeys((BarKind.MEM32, BarKind.MEM64), Region.MEM),
    **dict.fromkeys((BarKind.PREF32, BarKind.PREF64), Region.PREF),
}


class Panic(StrEnum):
    """What it stops with."""

    IO = "PCI: out of I/O address space"
    LOW = "PCI: out of 32bit address space"


class Placement(NamedTuple):
    """What it programs."""

    panic: Panic | None
    addresses: Mapping[tuple[int, int], int]
    """By function, as its place in the tree, and register."""
    io: Space
    low: Space
    high: Space | None
    """None: everything fits below 4 GiB."""


class _Entry(NamedTuple):
    alignment: int
    size: int
    is_64_bit: bool
    place: int
    bar: int
    """-1: everything behind that bridge."""
    usb: bool

    @property
    def goes_high(self) -> bool:
        """What boots the guest from USB stays below 4 GiB."""
        return self.is_64_bit and not self.usb


class _Bus:
    __slots__ = ("bridge", "entries", "number", "place")

    def __init__(self, number: int, place: int, bridge: Bridge) -> None:
        self.number = number
        self.place = place
        self.bridge = bridge
        self.entries: dict[Region, list[_Entry]] = {region: [] for region in Region}


def place(
    roots: tuple[RootBus, ...], release: tuple[int, ...], guest: Guest, processor: Processor, memory: MemoryMap
) -> Placement:
    """Place everything of a guest."""
    limit = _limit(release, processor, memory)
    return _Run(roots, release, guest, memory, limit).run()


def _padding(release: tuple[int, ...], guest: Guest, memory: MemoryMap, limit: int) -> bool:
    """Whether it keeps room for hotplug, and so always has a window above 4 GiB."""
    if release < _SINCE_KNOB:
        return memory.above > 0 and limit > 0
    return memory.above > 0 if guest.padding is None else guest.padding


def _limit(release: tuple[int, ...], processor: Processor, memory: MemoryMap) -> int:
    """The end of the address space, as it takes it; 0 where it does not know."""
    if release < _SINCE_TOP or not processor.believed:
        return 0
    limit = 1 << processor.bits
    if release < _SINCE_44_BITS:
        return min(limit, 1 << 46)
    return min(limit, 1 << 44) if memory.above < TIB else limit


class _Run:
    def __init__(
        self, roots: tuple[RootBus, ...], release: tuple[int, ...], guest: Guest, memory: MemoryMap, limit: int
    ) -> None:
        self.release = release
        self.guest = guest
        self.memory = memory
        self.limit = limit
        self.padding = _padding(release, guest, memory, limit)
        self.root = _Bus(0, -1, Bridge((), hotplug=False))
        self.buses: list[_Bus] = []
        """Those behind bridges, by the numbers that it gives them."""
        self.parents: dict[int, _Bus] = {}
        self.places = count()
        for root in roots:
            # What hangs on an expander bus counts as if it were on bus 0.
            self._take(root.functions, self.root)
        for bus in reversed(self.buses):
            self._pass_up(bus, bus.bridge)

    def _take(self, functions: tuple[Function, ...], bus: _Bus) -> None:
        for function in functions:
            number = next(self.places)
            usb = function.pci_class == USB_CLASS
            for bar in function.bars:
                region = _REGION_OF[bar.kind]
                size = bar.size if region is Region.IO else max(bar.size, _LEAST_MEMORY)
                _insert(bus.entries[region], _Entry(size, size, bar.kind in WIDE, number, bar.index, usb))
            if function.rom:
                size = max(function.rom, _LEAST_MEMORY)
                _insert(bus.entries[Region.MEM], _Entry(size, size, False, number, _ROM, usb))
            if function.bridge is not None:
                child = _Bus(len(self.buses) + 1, number, function.bridge)
                self.buses.append(child)
                self.parents[child.number] = bus
                self._take(function.bridge.functions, child)

    def _pass_up(self, bus: _Bus, bridge: Bridge) -> None:
        for region, entries in bus.entries.items():
            least = _LEAST_IO_BEHIND_BRIDGE if region is Region.IO else _LEAST_BEHIND_BRIDGE
            alignment = max(least, _alignment(entries))
            total = _total(entries)
            is_64_bit = region is Region.PREF and all(entry.is_64_bit for entry in entries)
            hotplug = bridge.slot or bridge.shpc
            if hotplug and self.padding and is_64_bit:
                share = self.limit >> _PORT_SHIFT
                # 1.16.3 lowers it too, and misplaces what is larger.
                alignment = max(alignment, share) if self.release >= _SINCE_ALIGNED else share
            if alignment > total and hotplug and not (bridge.slot and region is Region.IO):
                total = alignment
            wanted = _wanted(bridge, region)
            size = wanted if wanted > total else round_up(total, alignment)
            if wanted > total and region is not Region.IO:
                size = round_up(wanted, alignment)
            parent = self.parents[bus.number]
            _insert(parent.entries[region], _Entry(alignment, size, is_64_bit, bus.place, -1, usb=False))

    def run(self) -> Placement:
        entries = self.root.entries
        io = self._io(entries[Region.IO])
        if io is None:
            return Placement(Panic.IO, {}, Space(0, 0), Space(0, 0), None)
        low = None if self.padding else self._low(entries[Region.MEM], entries[Region.PREF])
        high: list[tuple[Region, list[_Entry], int]] = []
        if low is None:
            moved = {}
            for region in (Region.MEM, Region.PREF):
                moved[region] = [entry for entry in entries[region] if entry.goes_high]
                entries[region] = [entry for entry in entries[region] if not entry.goes_high]
            low = self._low(entries[Region.MEM], entries[Region.PREF])
            if low is None:
                return Placement(Panic.LOW, {}, Space(0, 0), Space(0, 0), None)
            high = self._high(moved[Region.MEM], moved[Region.PREF])
        addresses = self._program(io, low, high)
        ends = [base + _total(there) for _, there, base in high]
        window = Space(high[0][2], round_up(ends[1], GIB)) if high else None
        start = min(low[Region.MEM], low[Region.PREF])
        return Placement(None, addresses, Space(io, io + _total(entries[Region.IO])), Space(start, _LOW_END), window)

    def _io(self, entries: list[_Entry]) -> int | None:
        total = _total(entries)
        if total < 0x4000:
            return _IO_TRADITIONAL
        return _IO_LARGE if total < _IO_END[self.guest.machine is I440FX] - 0x1000 else None

    def _low(self, mem: list[_Entry], pref: list[_Entry]) -> dict[Region, int] | None:
        """Fill what lies below 4 GiB from its end, the region of the smaller alignment last."""
        swap = _alignment(mem) < _alignment(pref)
        first, second = (mem, pref) if swap else (pref, mem)
        upper = (_LOW_END - _total(first)) // _alignment(first) * _alignment(first)
        lower = (upper - _total(second)) // _alignment(second) * _alignment(second)
        if not self._low_start() <= lower <= _LOW_END:
            return None
        return {Region.MEM: upper, Region.PREF: lower} if swap else {Region.PREF: upper, Region.MEM: lower}

    def _low_start(self) -> int:
        if self.guest.machine is not I440FX:
            return _LOW_START_ON_Q35
        return next((start for start in (0x80000000, 0xC0000000) if self.memory.low <= start), self.memory.low)

    def _high(self, mem: list[_Entry], pref: list[_Entry]) -> list[tuple[Region, list[_Entry], int]]:
        base = max(self.memory.hotplug_end, 4 * GIB + self.memory.above)
        if self.limit:
            size = round_up(_total(mem), GIB) + round_up(_total(pref), GIB)
            if self.padding:
                size = round_up(size, self.limit >> _PADDING_SHIFT)
            top = (self.limit - size) % _WRAP
            base = max(base, top)
            if self._is_used(Space(base, base + size)):
                base = (base - size) % _WRAP
        base = round_up(round_up(base, _alignment(mem)), GIB) % _WRAP
        start = round_up(round_up(base + _total(mem), _alignment(pref)), GIB) % _WRAP
        return [(Region.MEM, mem, base), (Region.PREF, pref, start)]

    def _is_used(self, space: Space) -> bool:
        memory = self.memory
        used = [Space(0, memory.low)]
        if memory.above:
            used.append(Space(memory.above_start, memory.above_end))
        if memory.reserves_hypertransport:
            used.append(Space(*HYPERTRANSPORT))
        return any(space.base < other.end and space.end > other.base for other in used)

    def _program(
        self, io: int, low: Mapping[Region, int], high: list[tuple[Region, list[_Entry], int]]
    ) -> dict[tuple[int, int], int]:
        addresses: dict[tuple[int, int], int] = {}
        bases = {(Region.IO, -1): io, (Region.MEM, -1): low[Region.MEM], (Region.PREF, -1): low[Region.PREF]}
        for region, entries, base in high:
            _map(region, entries, base, addresses, bases)
        for bus in (self.root, *self.buses):
            for region, entries in bus.entries.items():
                _map(region, entries, bases.get((region, bus.place), 0), addresses, bases)
        return addresses


def _map(
    region: Region,
    entries: list[_Entry],
    base: int,
    addresses: dict[tuple[int, int], int],
    bases: dict[tuple[Region, int], int],
) -> None:
    for entry in entries:
        if entry.bar < 0:
            bases[region, entry.place] = base
        else:
            addresses[entry.place, entry.bar] = base % _WRAP
        base += entry.size


def _wanted(bridge: Bridge, region: Region) -> int:
    io, mem32, pref32, pref64 = bridge.reservation
    if region is Region.IO:
        return io or 0
    if region is Region.MEM:
        return mem32 or 0
    # Both at once contradict each other, and count for nothing.
    return 0 if pref32 is not None and pref64 is not None else pref32 or pref64 or 0


def _insert(entries: list[_Entry], new: _Entry) -> None:
    for number, entry in enumerate(entries):
        if entry.alignment < new.alignment or (entry.alignment == new.alignment and entry.size < new.size):
            entries.insert(number, new)
            return
    entries.append(new)


def _alignment(entries: list[_Entry]) -> int:
    return entries[0].alignment if entries else 1


def _total(entries: list[_Entry]) -> int:
    return sum(entry.size for entry in entries)
