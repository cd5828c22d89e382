"""How edk2 (OVMF, AAVMF) places BARs: its resource map, its host bridge, and what it rejects when they do not agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from hostdev.fit.pcitree import GIB, KIB, MIB, VGA_CLASS, Bridge, Function, RootBus, power_of_two_from, round_up
from hostdev.inventory.bars import Bar, BarKind

IO, MEM32, PREF32, MEM64, PREF64 = KINDS = tuple(BarKind)
ROOT_KINDS = (IO, MEM32, MEM64)
"""What a root bus asks its host bridge for, which joins prefetchable memory with the rest."""
_WINDOW_ALIGNMENT = {kind: 4 * KIB if kind is IO else MIB for kind in KINDS}
_LEAST_ALIGNMENT = {kind: 1 if kind is IO else 4 * KIB for kind in KINDS}
"""So that no two registers share a page."""
_DEFAULT_MEM32 = 2 * MIB
_SHARED_WINDOW = 32 * GIB
"""A window of this size is not shared out to hotplug ports."""
_SHIFT_OF_SHARE = 8
_MOST_ALIGNMENT = {IO: 1 << 15, MEM32: 1 << 31, MEM64: 1 << 63}


class Space(NamedTuple):
    """A range of addresses; `end` is the first that is not part of it."""

    base: int
    end: int

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.end - self.base


class Windows(NamedTuple):
    """What the host bridge has to give."""

    io: Space
    mem32: Space
    mem64: Space | None
    is_shared: bool = True
    """Whether ports keep a share of the last one for hotplug; on Arm they do not."""


class Allocation(NamedTuple):
    """What the firmware programs."""

    programmed: bool
    """False: nothing could be rejected any more, and no device of the guest gets anything."""
    addresses: Mapping[tuple[int, int], int]
    """By function, as its place in the tree, and register."""
    rejected: frozenset[int]
    """Functions without any address, by place in the tree."""
    bare_ports: frozenset[int]
    """Ports that lost what they keep for hotplug."""
    short: frozenset[BarKind]
    """The kinds of which there was not enough."""
    asked: int
    """The bytes of 64-bit memory that all would have taken, hotplug's share included."""


class _Requests:
    """Requests in the order in which they are served: the largest alignment first."""

    __slots__ = ("groups",)

    def __init__(self) -> None:
        self.groups: dict[int, list[_Node]] = {}
        """By alignment, the first one last."""

    def insert(self, new: _Node) -> None:
        """Of one alignment the last to come is the first, unless it leaves a rest."""
        group = self.groups.setdefault(new.alignment, [])
        rest = new.length % new.alignment
        place = len(group)
        while rest and place and rest < group[place - 1].length % new.alignment:
            place -= 1
        group.insert(place, new)

    def __iter__(self) -> Iterator[_Node]:
        for alignment in sorted(self.groups, reverse=True):
            yield from reversed(self.groups[alignment])

    def __bool__(self) -> bool:
        return bool(self.groups)


class _Node:
    """A request: of a register, of what a port keeps, or of everything behind a bridge."""

    __slots__ = ("alignment", "bar", "children", "device", "length", "offset", "padding")

    def __init__(self, device: _Device | None, length: int, alignment: int, bar: int = -1) -> None:
        self.device = device
        self.length = length
        self.alignment = alignment
        self.bar = bar
        self.padding = False
        self.children = _Requests()
        self.offset = 0


class _Device:
    """A function as the allocator treats it."""

    __slots__ = ("bars", "behind", "bus0", "children", "function", "padding", "parent", "place", "rejected")

    def __init__(self, function: Function, place: int, parent: _Device | None, *, bus0: bool) -> None:
        self.parent = parent
        self.behind: list[tuple[BarKind, _Node]] | None = None
        """What is asked for behind it, until something changes there."""
        self.function = function
        self.place = place
        self.bus0 = bus0
        self.bars: tuple[Bar, ...] = function.bars
        self.children: list[_Device] = []
        self.rejected = False
        self.padding = function.bridge is not None and function.bridge.hotplug

    @property
    def is_bridge(self) -> bool:
        return self.function.bridge is not None

    def change(self) -> None:
        """Forget what was computed of it, and of the bridges above."""
        device: _Device | None = self
        while device is not None:
            device.behind = None
            device = device.parent

    @property
    def can_be_rejected(self) -> bool:
        return not (self.is_bridge or self.bus0 or self.function.pci_class == VGA_CLASS)


def allocate(roots: tuple[RootBus, ...], windows: Windows, *, io_padding: int = 0) -> Allocation:
    """Place everything; `io_padding` is what older releases keep of I/O space for a port that says nothing."""
    return _Allocator(roots, windows, io_padding).run()


class _Allocator:
    def __init__(self, roots: tuple[RootBus, ...], windows: Windows, io_padding: int) -> None:
        self.windows = windows
        self.io_padding = io_padding
        self.devices: list[_Device] = []
        self.roots = [[self._device(f, None, bus0=root.number == 0) for f in root.functions] for root in roots]
        self.bridges = [_RootBridge() for _ in roots]
        self.has_roms = any(device.function.rom for device in self.devices)
        self.short: set[BarKind] = set()
        self.asked: int | None = None
        size = windows.mem64.size if windows.mem64 is not None and windows.is_shared else 0
        self.share = power_of_two_from(size >> _SHIFT_OF_SHARE) if size > _SHARED_WINDOW else 0

    def _device(self, function: Function, parent: _Device | None, *, bus0: bool) -> _Device:
        device = _Device(function, len(self.devices), parent, bus0=bus0)
        self.devices.append(device)
        if function.bridge is not None:
            device.children = [self._device(child, device, bus0=False) for child in function.bridge.functions]
        return device

    def run(self) -> Allocation:
        """Try, and reject what is largest, until everything has a place or nothing can be rejected."""
        while True:
            pools = {kind: _Requests() for kind in ROOT_KINDS}
            maps = [self._resource_map(devices) for devices in self.roots]
            for resources, bridge in zip(maps, self.bridges, strict=True):
                if resources[MEM32].length >= 4 * GIB:
                    self.short.add(MEM32)
                    return self._result({}, programmed=False)
                bridge.submit(resources)
                for kind in ROOT_KINDS:
                    pools[kind].insert(resources[kind])
            if self.asked is None:
                self.asked = sum(resources[MEM64].length for resources in maps)
            taken: dict[BarKind, list[Space]] = {IO: [], MEM32: []}
            # All of them try, whatever becomes of the others.
            succeeded = [bridge.allocate(self.windows, taken) for bridge in self.bridges]
            if all(succeeded):
                return self._result(self._program(maps), programmed=True)
            failed = self._failed_kinds()
            self.short.update(kind for bridge in self.bridges for kind, got in bridge.satisfied().items() if not got)
            for bridge in self.bridges:
                bridge.free()
            if not self._reject(pools, failed):
                return self._result({}, programmed=False)

    def _failed_kinds(self) -> list[BarKind]:
        """Of a kind, only what the last root bus says about it counts."""
        satisfied: dict[BarKind, bool] = {}
        for bridge in self.bridges:
            satisfied.update(bridge.satisfied())
        return [kind for kind in ROOT_KINDS if not satisfied.get(kind, True)]

    def _reject(self, pools: Mapping[BarKind, _Requests], failed: Iterable[BarKind]) -> bool:
        done: list[_Device] = []
        for kind in failed:
            node = _largest(pools[kind])
            if node is None or node.device is None or node.device in done:
                continue
            if node.device.is_bridge:
                # All that this port keeps goes, of every kind.
                node.device.padding = False
            else:
                node.device.rejected = True
            node.device.change()
            done.append(node.device)
        return bool(done)

    def _resource_map(self, devices: list[_Device]) -> dict[BarKind, _Node]:
        nodes = {kind: _Node(None, 0, _WINDOW_ALIGNMENT[kind]) for kind in KINDS}
        rom = max((d.function.rom for d in _present(devices)), default=0) if self.has_roms else 0
        if rom:
            # One place, through which the expansion ROMs of all devices are read, one after the other.
            size = power_of_two_from(rom)
            nodes[MEM32].children.insert(_Node(None, size, size))
        self._map_devices(devices, nodes)
        if self.windows.mem64 is None:
            _merge(nodes[MEM32], nodes[MEM64])
            _merge(nodes[PREF32], nodes[PREF64])
        _merge(nodes[MEM32], nodes[PREF32])
        _merge(nodes[MEM64], nodes[PREF64])
        for node in nodes.values():
            _measure(node)
        return nodes

    def _map_devices(self, devices: list[_Device], nodes: Mapping[BarKind, _Node]) -> None:
        for device in devices:
            if device.rejected:
                continue
            for bar in device.bars:
                alignment = max(bar.size, _LEAST_ALIGNMENT[bar.kind])
                nodes[bar.kind].children.insert(_Node(device, bar.size, alignment, bar.index))
            bridge = device.function.bridge
            if bridge is not None:
                if device.behind is None:
                    device.behind = [(k, node) for k, node in self._behind(device, bridge).items() if node.children]
                for kind, node in device.behind:
                    nodes[kind].children.insert(node)

    def _behind(self, device: _Device, bridge: Bridge) -> dict[BarKind, _Node]:
        nodes = {kind: _Node(device, 0, _WINDOW_ALIGNMENT[kind]) for kind in KINDS}
        self._map_devices(device.children, nodes)
        if device.padding:
            for kind, size in self._reserved(bridge):
                padding = _Node(device, power_of_two_from(size), power_of_two_from(size))
                padding.padding = True
                nodes[kind].children.insert(padding)
        # A bridge has no window for 64-bit memory that is not prefetchable, and one for prefetchable: 64-bit or 32-bit.
        _merge(nodes[MEM32], nodes[MEM64])
        if nodes[PREF64].children:
            _merge(nodes[MEM32], nodes[PREF32])
        for node in nodes.values():
            _measure(node)
        return nodes

    def _reserved(self, bridge: Bridge) -> list[tuple[BarKind, int]]:
        io, mem32, pref32, pref64 = bridge.reservation
        reserved = [
            (IO, self.io_padding if io is None else io),
            (MEM32, _DEFAULT_MEM32 if mem32 is None else mem32),
            (PREF32, pref32 or 0),
            # Nothing is not an amount here: it gets the default.
            (PREF64, 0 if pref32 else pref64 or self.share),
        ]
        return [(kind, size) for kind, size in reserved if size]

    def _program(self, maps: Iterable[Mapping[BarKind, _Node]]) -> dict[tuple[int, int], int]:
        addresses: dict[tuple[int, int], int] = {}
        for resources, bridge in zip(maps, self.bridges, strict=True):
            for kind in ROOT_KINDS:
                _program(resources[kind], bridge.base[kind], addresses)
        return addresses

    def _result(self, addresses: Mapping[tuple[int, int], int], *, programmed: bool) -> Allocation:
        rejected = frozenset(d.place for d in self.devices if d.rejected)
        bridges = ((d, d.function.bridge) for d in self.devices)
        bare = frozenset(d.place for d, bridge in bridges if bridge is not None and bridge.hotplug and not d.padding)
        return Allocation(programmed, addresses, rejected, bare, frozenset(self.short), self.asked or 0)


class _RootBridge:
    """What the host bridge remembers of one root bus. What failed once is asked for again, in vain, for ever."""

    def __init__(self) -> None:
        self.length = dict.fromkeys(ROOT_KINDS, 0)
        self.alignment = dict.fromkeys(ROOT_KINDS, 0)
        self.asked = dict.fromkeys(ROOT_KINDS, False)
        self.got = dict.fromkeys(ROOT_KINDS, False)
        self.base = dict.fromkeys(ROOT_KINDS, 0)

    def submit(self, resources: Mapping[BarKind, _Node]) -> None:
        for kind in ROOT_KINDS:
            if resources[kind].length:
                self.length[kind], self.alignment[kind] = resources[kind].length, resources[kind].alignment
                self.asked[kind] = True
                self.got[kind] = False

    def allocate(self, windows: Windows, taken: dict[BarKind, list[Space]]) -> bool:
        """Serve the largest alignment first. The turn of a kind that is not asked for is lost."""
        handled: set[BarKind] = set()
        success = True
        for turn in ROOT_KINDS:
            if not self.asked[turn]:
                handled.add(turn)
                continue
            waiting = [kind for kind in ROOT_KINDS if kind not in handled]
            kind = max(reversed(waiting), key=lambda one: self.alignment[one])
            handled.add(kind)
            base = self._find(kind, windows, taken)
            if base is None:
                success = False
            else:
                self.base[kind], self.got[kind], self.asked[kind] = base, True, True
        for kind in ROOT_KINDS:
            if not self.got[kind]:
                self.length[kind] = 0
        return success

    def _find(self, kind: BarKind, windows: Windows, taken: dict[BarKind, list[Space]]) -> int | None:
        length, alignment = self.length[kind], max(self.alignment[kind], 1)
        if not length:
            return None
        spaces: list[Space | None] = [windows.io] if kind is IO else [windows.mem32]
        if kind is MEM64:
            spaces.insert(0, windows.mem64)
        used = taken[IO if kind is IO else MEM32]
        for number, space in enumerate(spaces):
            if space is None:
                continue
            most = _MOST_ALIGNMENT[kind if number == 0 else MEM32]
            base = _first_fit(space, length, alignment, min(alignment, most), used)
            if base is not None:
                used.append(Space(base, base + length))
                return base
        return None

    def satisfied(self) -> dict[BarKind, bool]:
        return {kind: self.got[kind] for kind in ROOT_KINDS if self.asked[kind]}

    def free(self) -> None:
        for kind in ROOT_KINDS:
            if self.got[kind]:
                self.length[kind] = 0
                self.asked[kind] = self.got[kind] = False


def _first_fit(space: Space, length: int, alignment: int, step: int, used: list[Space]) -> int | None:
    base = round_up(space.base, alignment)
    for other in sorted(used):
        if base < other.end and base + length > other.base:
            base = round_up(other.end - base, step) + base
    return base if base + length <= space.end else None


def _present(devices: Iterable[_Device]) -> Iterable[_Device]:
    for device in devices:
        if not device.rejected:
            yield device
            yield from _present(device.children)


def _merge(into: _Node, other: _Node) -> None:
    for node in other.children:
        into.children.insert(node)
    other.children = _Requests()


def _measure(node: _Node) -> None:
    """Lay the children out one after the other; what is kept for hotplug counts beside them, not behind them."""
    ends = {False: 0, True: 0}
    for child in node.children:
        child.offset = round_up(ends[child.padding], child.alignment)
        ends[child.padding] = child.offset + child.length
    node.length = round_up(max(ends.values()), node.alignment)
    node.alignment = max(node.alignment, *node.children.groups) if node.children else node.alignment


def _largest(nodes: Iterable[_Node]) -> _Node | None:
    """Find what is rejected: the largest, of equal ones the last; nothing on bus 0, and no VGA."""
    best: _Node | None = None
    for node in nodes:
        candidate: _Node | None = node
        if node.bar < 0 and not node.padding:
            candidate = _largest(node.children)
        elif node.device is None or not (node.padding or node.device.can_be_rejected):
            continue
        if candidate is not None and (best is None or best.length <= candidate.length):
            best = candidate
    return best


def _program(node: _Node, base: int, addresses: dict[tuple[int, int], int]) -> None:
    for child in node.children:
        at = base + child.offset
        if child.bar >= 0 and child.device is not None:
            addresses[child.device.place, child.bar] = at
        elif not child.padding:
            _program(child, at, addresses)
