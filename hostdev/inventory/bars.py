"""BARs: what a function asks of an address space, as `resource` in sysfs tells without a look at the device."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class BarKind(StrEnum):
    """Where a BAR can lie, and whether it may be read ahead."""

    IO = "io"
    MEM32 = "mem32"
    PREF32 = "pref32"
    MEM64 = "mem64"
    PREF64 = "pref64"


class Bar(NamedTuple):
    """A base address register."""

    index: int  # type: ignore[assignment]  # the register; of the tuple's method there is no need
    kind: BarKind
    size: int


class Bars(NamedTuple):
    """All that one function asks for."""

    own: tuple[Bar, ...] = ()
    rom: int = 0
    """The size of its expansion ROM."""
    vfs: tuple[Bar, ...] = ()
    """Of each VF of a PF: a PF says it of all that the hardware can have, so that a VF has no more than this."""
    resizable: tuple[int, ...] = ()
    """The indices of BARs whose size can be changed; a guest gets the size that is set when it starts."""
    unplaced: tuple[int, ...] = ()
    """The indices of BARs for which this host found no address: the kernel does not enable such a function."""


REGISTERS = 6
ROM = 6
VF_BARS = 7
_WITH_SRIOV = VF_BARS + REGISTERS
"""So many lines say that the kernel knows SR-IOV; without it the windows of a bridge come right after the ROM."""
_SPACE = 1 << 64

_IO, _MEMORY, _PREFETCHABLE, _WIDE = 0x100, 0x200, 0x2000, 0x100000
_DISABLED, _UNSET = 0x10000000, 0x20000000


class _Line(NamedTuple):
    """What a line tells of a BAR that is there."""

    kind: BarKind
    size: int
    placed: bool


def parse_resource(text: str, *, bridge: bool = False, total_vfs: int | None = None) -> Bars | None:
    """Read a function's `resource`; None for what is none.

    The low register of a 64-bit BAR has its line, and the high one an empty line. Behind the BARs and the ROM come a
    PF's BARs of VFs, then the windows of a bridge.
    """
    try:
        lines = [_line(line) for line in text.splitlines()]
    except ValueError:
        return None
    if len(lines) <= ROM:
        return None
    own = {index: line for index, line in enumerate(lines[:REGISTERS]) if line}
    rom = lines[ROM]
    vfs = lines[VF_BARS:_WITH_SRIOV] if total_vfs and not bridge and len(lines) >= _WITH_SRIOV else []
    return Bars(
        tuple(Bar(index, line.kind, line.size) for index, line in own.items()),
        rom.size if rom else 0,
        tuple(Bar(index, line.kind, _share(line.size, total_vfs or 1)) for index, line in enumerate(vfs) if line),
        unplaced=tuple(index for index, line in own.items() if not line.placed),
    )


def _line(text: str) -> _Line | None:
    """Read `start end flags`; None where no BAR is, ValueError for what is no such line."""
    start, end, flags = (int(word, 16) for word in text.split())
    if not 0 <= start < _SPACE or not 0 <= end < _SPACE:
        raise ValueError(text)
    size = (end - start + 1) % _SPACE
    # The kernel, too, takes a range that ends at 0 for none.
    if not end or not size or not flags & (_IO | _MEMORY):
        return None
    if end < start:
        raise ValueError(text)
    return _Line(_kind(flags), size, placed=not flags & (_UNSET | _DISABLED))


def _kind(flags: int) -> BarKind:
    if flags & _IO:
        return BarKind.IO
    if flags & _WIDE:
        return BarKind.PREF64 if flags & _PREFETCHABLE else BarKind.MEM64
    return BarKind.PREF32 if flags & _PREFETCHABLE else BarKind.MEM32


def _share(size: int, total: int) -> int:
    """The share of one VF. A driver may allow fewer than the hardware has room for: sizes are powers of two."""
    return 1 << max(size // total, 1).bit_length() - 1


_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size_text(size: int) -> str:
    """A size for people, exact where it is a round one: `16 MiB`."""
    step = min(max(size.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{round(size / (1 << 10 * step), 2):g} {_UNITS[step]}"


_WORDS = {
    BarKind.IO: "I/O",
    BarKind.MEM32: "32 bit",
    BarKind.PREF32: "32 bit prefetchable",
    BarKind.MEM64: "64 bit",
    BarKind.PREF64: "64 bit prefetchable",
}


def bar_text(bar: Bar) -> str:
    """`1: 256 MiB, 64 bit prefetchable`."""
    return f"{bar.index}: {size_text(bar.size)}, {_WORDS[bar.kind]}"
