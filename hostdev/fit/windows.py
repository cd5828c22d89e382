"""The windows that OVMF and AAVMF hand out to PCI: a table by release, and one formula."""

from __future__ import annotations

from domxml.guestpci.machines import I440FX
from hostdev.fit.edk2 import Space, Windows
from hostdev.fit.firmware import OvmfRules
from hostdev.fit.guest import Guest
from hostdev.fit.memory import HYPERTRANSPORT, MemoryMap, arm_window
from hostdev.fit.pcitree import GIB, round_up
from hostdev.fit.processor import Processor

CLASSIC = 32 * GIB
_BITS_WITHOUT_LARGE_PAGES = 40
_END_ON_PC, _END_ON_Q35 = 0xFC000000, 0xE0000000
_OLD_LOW_WINDOW = Space(0xC0000000, 0xFC000000)
_Q35_IO, _PC_IO = Space(0x6000, 0x10000), Space(0xC000, 0x10000)
_ARM_LOW, _ARM_IO = Space(0x10000000, 0x3EFF0000), Space(0, 0x10000)


def ovmf_windows(rules: OvmfRules, guest: Guest, processor: Processor, memory: MemoryMap) -> Windows:
    """Compute them for one case."""
    return Windows(
        _PC_IO if guest.machine is I440FX else _Q35_IO,
        _low_window(rules, guest, memory),
        _high_window(rules, guest, processor, memory),
    )


def arm_windows(guest: Guest, bits: int) -> Windows:
    """Find those of Arm's machine: they are the machine's, and the firmware takes them."""
    high = arm_window(guest, bits)
    return Windows(_ARM_IO, _ARM_LOW, None if high is None else Space(high[0], sum(high)), is_shared=False)


def _low_window(rules: OvmfRules, guest: Guest, memory: MemoryMap) -> Space:
    if rules.low_ecam and guest.machine is not I440FX:
        return _OLD_LOW_WINDOW
    # One MTRR covers it: a power of two below 4 GiB.
    uncached = 1 << ((4 * GIB - memory.low).bit_length() - 1)
    return Space(4 * GIB - uncached, _END_ON_PC if guest.machine is I440FX else _END_ON_Q35)


def _high_window(rules: OvmfRules, guest: Guest, processor: Processor, memory: MemoryMap) -> Space | None:
    size = CLASSIC if guest.window is None else round_up(guest.window, GIB)
    if not size:
        return None
    base = round_up(round_up(memory.end, GIB), 1 << (size.bit_length() - 1))
    classic = Space(base, base + size)
    told = processor.guest_bits if rules.guest_bits else 0
    exact = rules.exact and guest.window is not None
    if not rules.dynamic or exact or not (told or processor.believed):
        return classic
    bits = min(processor.bits, rules.most_bits, told or processor.bits)
    if rules.large_pages and not processor.large_pages:
        bits = min(bits, _BITS_WITHOUT_LARGE_PAGES)
    share, end = 1 << (bits - rules.share), 1 << bits
    if not (size < share and base + share < end):
        return classic
    top = Space(end - share, end)
    if rules.moves_away and memory.reserves_hypertransport and top.base < HYPERTRANSPORT[1] and end > HYPERTRANSPORT[0]:
        moved = (HYPERTRANSPORT[0] - share) & -share
        return Space(moved, moved + share)
    return top
