"""What holds for any guest: what is said without knowing the node stays true on every node."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from hostdev.fit import edk2
from hostdev.fit.edk2 import Space, Windows
from hostdev.fit.firmware import Firmware, parse_firmware
from hostdev.fit.fit import fit
from hostdev.fit.inputs import Node
from hostdev.fit.pcitree import Bridge, Function, RootBus
from hostdev.fit.solution import Outcome
from hostdev.inventory.bars import Bar, BarKind
from tests.hostdev.fit.guests import GIB, IVSHMEM, KIB, MIB, OVMF, TESTDEV, TIB, Card, Slot, guest, ports

IO, LOW = Space(0x6000, 0x10000), Space(0x80000000, 0xE0000000)
SIZES = st.integers(20, 39).map(lambda power: 1 << power)
CARDS = st.builds(Card, st.sampled_from([IVSHMEM, TESTDEV]), SIZES)
SLOTS = st.lists(st.builds(Slot, st.lists(CARDS, max_size=3).map(tuple), st.booleans()), min_size=1, max_size=12)
NODES = st.builds(
    Node,
    st.sampled_from(["intel", "amd", "other"]),
    st.sampled_from([36, 39, 40, 42, 46, 48, 52]),
    st.sampled_from([0, 48]),
    st.none(),
    st.just(""),
)
FIRMWARES = st.sampled_from(
    [parse_firmware(name) for name in ("ovmf-2022.05", "ovmf-2022.11", "ovmf-2023.11", "ovmf-2026.08", "ovmf-2027.02")]
    + [parse_firmware(name) for name in ("seabios-1.16.2", "seabios-1.16.3", "seabios-1.17.0")]
)
PROCESSORS = st.sampled_from(
    [
        "",
        "<cpu mode='host-passthrough'/>",
        "<cpu mode='host-model'/>",
        "<cpu mode='host-model'><maxphysaddr mode='passthrough' limit='42'/></cpu>",
        "<cpu mode='custom'><model>Haswell</model><maxphysaddr mode='emulate' bits='44'/></cpu>",
    ]
)
MACHINES = st.sampled_from(["q35", "pc-q35-8.2", "pc-q35-9.1", "pc-q35-rhel9.6.0", "pc-q35-noble-hpb"])


def port(*sizes: int, hotplug: bool = False) -> Function:
    functions = tuple(Function("card", None, (Bar(0, BarKind.PREF64, size),)) for size in sizes)
    return Function("port", None, (Bar(0, BarKind.MEM32, 4 * KIB),), bridge=Bridge(functions, hotplug))


def placed(functions: Sequence[Function], size: int) -> edk2.Allocation:
    return edk2.allocate((RootBus(0, tuple(functions)),), Windows(IO, LOW, Space(TIB, TIB + size)))


@settings(max_examples=60)
@given(SLOTS, NODES, FIRMWARES, PROCESSORS, MACHINES)
def test_what_is_said_of_every_node_is_true_of_each(
    slots: list[Slot], node: Node, firmware: Firmware, cpu: str, machine: str
) -> None:
    loader = "" if firmware.kind == "seabios" else OVMF
    written = guest(slots, cpu=cpu, machine=machine, loader=loader, kind="kvm")
    domain, functions = written.domain, written.functions
    general = fit(domain, functions)
    here = fit(domain, functions, node, firmware=firmware)

    assert general.outcome in {Outcome.DEPENDS, here.outcome}
    for said, seen in zip(general.functions, here.functions, strict=True):
        assert said.placed in {None, seen.placed}
        for before, after in zip(said.bars, seen.bars, strict=True):
            assert before.address in {None, after.address}
    assert bool(general.depends) or general.outcome is here.outcome


@given(st.lists(SIZES, min_size=1, max_size=20), st.integers(33, 44), st.integers(0, 3))
def test_a_larger_window_places_no_fewer(sizes: list[int], bits: int, more: int) -> None:
    """Where ports keep nothing: what they keep grows with the window."""
    functions = [port(size) for size in sizes]
    small, large = placed(functions, 1 << bits), placed(functions, 1 << bits + more)
    if small.programmed:
        assert large.programmed
        assert len(large.rejected) <= len(small.rejected)


@given(st.lists(st.lists(SIZES, max_size=3), min_size=1, max_size=24), st.integers(36, 43))
def test_the_rule_of_thumb_is_safe(sizes: list[list[int]], bits: int) -> None:
    """Each port's sum rounded up to a multiple of its largest, and a share for each port."""
    window = 1 << bits
    need = sum(-(-sum(one) // max(one)) * max(one) for one in sizes if one) + len(sizes) * (window >> 8)
    found = placed([port(*one, hotplug=True) for one in sizes], window)
    if need <= window:
        assert found.programmed
        assert found.rejected == frozenset()


@given(st.permutations([64 * MIB, GIB, 4 * GIB, 4 * GIB, 16 * GIB, 64 * GIB]), st.integers(36, 39))
def test_the_order_of_ports_does_not_decide_whether_all_fit(sizes: list[int], bits: int) -> None:
    ordered = placed([port(size) for size in sorted(sizes)], 1 << bits)
    shuffled = placed([port(size) for size in sizes], 1 << bits)
    assert (ordered.programmed, len(ordered.rejected)) == (shuffled.programmed, len(shuffled.rejected))


@given(SLOTS, st.sampled_from(["ovmf-2026.08", "ovmf-2022.11"]))
def test_addresses_are_aligned_apart_and_in_their_windows(slots: list[Slot], firmware: str) -> None:
    written = guest(slots)
    found = fit(written.domain, written.functions, firmware=parse_firmware(firmware), bits=42)
    windows = [Space(window.base, window.base + window.size) for window in found.windows if window.base and window.size]
    taken = []
    for function in found.functions:
        for bar, address in function.bars:
            if address is not None:
                assert address % bar.size == 0
                assert any(space.base <= address and address + bar.size <= space.end for space in windows)
                taken.append((bar.kind is BarKind.IO, address, address + bar.size))
    taken.sort()
    for (space, _, end), (other, start, _) in pairwise(taken):
        assert space is not other or end <= start


def test_as_many_ports_as_there_can_be_are_answered_at_once() -> None:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    written = guest(
        [*ports(*[Card(IVSHMEM, 16 * GIB)] * 16), *[Slot()] * 200], kind="kvm", cpu="<cpu mode='host-model'/>"
    )
    domain, functions = written.domain, written.functions
    sys.setprofile(count)
    try:
        found = fit(domain, functions, firmware=parse_firmware("ovmf-2026.08"), node=Node("intel", guest_bits=0))
    finally:
        sys.setprofile(None)
    assert found.outcome is Outcome.DEVICES_MISSING
    assert calls < 5_000_000


def test_nothing_is_opened() -> None:
    """Whatever a domain names: the files are for others to read."""
    written = guest(ports(Card(IVSHMEM, GIB)), kind="kvm")
    domain, functions = written.domain, written.functions
    fit(domain, functions)
    opened = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in {"open", "os.listdir", "os.scandir", "subprocess.Popen", "socket.connect"}:
            opened.append(arguments)

    sys.addaudithook(watch)
    fit(domain, functions)
    watching = False
    assert opened == []
