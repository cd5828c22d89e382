"""How long a boot of a kind takes until a guest's driver has its device: a class with its reason, no promise."""

from __future__ import annotations

from typing import NamedTuple

GIB = 1 << 30
_LARGE_BAR, _HUGE_BAR, _LARGE_GUEST = GIB, 64 * GIB, 64 * GIB
MAPS_FAST = (6, 15)
"""From here on the kernel maps large BARs for the IOMMU in large pieces."""


class Boot(NamedTuple):
    """A class of boots."""

    name: str
    seconds: float
    """After this, no sign is not a matter of time any more."""
    why: str


def class_of_boot(bar: int | None, memory: int | None, kernel: tuple[int, int]) -> Boot:
    """The class of a VM with a device whose largest BAR is this, and with so much memory that is pinned."""
    if bar is not None and bar >= _HUGE_BAR and kernel < MAPS_FAST:
        why = (
            f"a BAR of {bar // GIB} GiB: before Linux 6.15, or QEMU 10.1, mapping it takes about half a minute for "
            "each 128 GiB, once more whenever the guest's firmware moves it"
        )
        return Boot("tens of minutes", 3600.0, why)
    if bar is not None and bar >= _LARGE_BAR:
        return Boot("minutes", 1200.0, f"a BAR of {bar // GIB} GiB is mapped, and drivers of such cards start slowly")
    if memory is not None and memory >= _LARGE_GUEST:
        return Boot("minutes", 1200.0, f"{memory // GIB} GiB of memory are pinned before the guest's first instruction")
    unknown = " (its BARs could not be read)" if bar is None else ""
    return Boot("a minute or some", 600.0, f"firmware, kernel and drivers of an ordinary guest{unknown}")
