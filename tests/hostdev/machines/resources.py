"""The file `resource` of a function as the kernel writes it, and how wide a host's addresses are."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

from hostdev.inventory.recorded.recording import Entry, File, Names

NOTHING = f"0x{0:016x} 0x{0:016x} 0x{0:016x}"
FLAGS = {"io": 0x40101, "mem32": 0x40200, "pref32": 0x42208, "mem64": 0x140204, "pref64": 0x14220C}
_ROM = 0x46200
_UNITS = " KMGT"


class Space:
    """The addresses of a host, given out one after the other."""

    def __init__(self) -> None:
        self._free = 0x380000000000

    def lines(self, wanted: Sequence[str], rom: int, vfs: Sequence[str]) -> list[str]:
        """Lines for BARs such as `1: 256M pref64`; `vfs` are those of all VFs of a PF together."""
        lines = [NOTHING] * 13
        for offset, texts in ((0, wanted), (7, vfs)):
            for text in texts:
                index, size, kind = text.replace(":", "").split()
                lines[offset + int(index)] = self._line(_bytes(size), FLAGS[kind])
        if rom:
            lines[6] = self._line(rom, _ROM)
        return lines

    def _line(self, size: int, flags: int) -> str:
        start = -(-self._free // size) * size
        self._free = start + size
        return f"0x{start:016x} 0x{start + size - 1:016x} 0x{flags:016x}"


def _bytes(text: str) -> int:
    unit = _UNITS.find(text[-1])
    return int(text) if unit < 0 else int(text[:-1]) << 10 * unit


def describe_processor(entries: MutableMapping[str, Entry], vendor: str, bits: int, *, iommu: str = "") -> None:
    """The processor, and what Intel's IOMMUs say of themselves."""
    lines = f"vendor_id\t: {vendor}\naddress sizes\t: {bits} bits physical, 48 bits virtual\n"
    entries["proc/cpuinfo"] = File(lines.encode())
    units = entries.get("sys/class/iommu")
    if iommu and isinstance(units, Names):
        del entries["sys/class/iommu"]
        for unit in units.names:
            entries[f"sys/class/iommu/{unit}/intel-iommu/cap"] = File(f"{iommu}\n".encode())
