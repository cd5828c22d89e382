"""Which interrupts of a device VFIO has set up: a guest's driver asked for them, whether one ever comes or not.

Counts say nothing: with posted interrupts the host never sees one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from domxml.pciaddress import PciAddress
from hostdev.inventory.functions import DEVICES
from hostdev.inventory.host import Host

FILE = "proc/interrupts"
LONGEST = 64 << 20
"""A line has a column for each processor: some megabytes on a large host."""
MESSAGES = ("msix", "msi")
"""Those that only a driver in the guest sets up. The legacy interrupt `intx` is there as soon as QEMU has started."""
_LINE = re.compile(r"\bvfio-(msix|msi|intx)(?:\[\d+\])?\(([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7])\)", re.ASCII)
_HEAD = "CPU"


class Vectors(NamedTuple):
    """Interrupts of one device, by kind."""

    kinds: Mapping[str, int]
    """Those in use, by the table of all; empty where it is not to be seen."""
    source: str
    """The file or directory that shows them, or shows that there are none."""
    allocated: Mapping[str, int] = {}
    """Those that the kernel keeps for it, by sysfs: a driver in the guest has turned them on, used or not."""

    @property
    def messages(self) -> int:
        """Those in use that tell of a driver in the guest."""
        return sum(self.kinds.get(kind, 0) for kind in MESSAGES)


def read_interrupts(host: Host) -> Mapping[str, Counter[str]] | None:
    """Those of all devices, by address; None where the table cannot be read, or is hidden as in containers."""
    lines = host.lines(FILE, LONGEST)
    if not lines or not lines[0].lstrip().startswith(_HEAD):
        host.tell(FILE, "it is not to be seen here, as in a container that hides it" if not lines else "no table")
        return None
    found: dict[str, Counter[str]] = {}
    for line in lines:
        # Two devices may share one legacy interrupt.
        for kind, address in _LINE.findall(line) if "vfio-" in line else ():
            found.setdefault(address, Counter())[kind] += 1
    return found


def vectors_of(host: Host, address: PciAddress, table: Mapping[str, Counter[str]] | None) -> Vectors | None:
    """Those of one device: by the table of all, and by what sysfs lists of its own; None: neither is to be seen."""
    directory = f"{DEVICES}/{address}/msi_irqs"
    allocated = _allocated(host, address, directory)
    if table is not None:
        return Vectors(table.get(str(address), {}), f"/{FILE}", allocated or {})
    return None if allocated is None else Vectors({}, f"/{directory}", allocated)


def _allocated(host: Host, address: PciAddress, directory: str) -> Mapping[str, int] | None:
    if not host.exists(f"{DEVICES}/{address}/irq"):
        return None
    names = host.names(directory)
    if names is None:
        return None if host.was_told(directory) else {}
    return Counter(kind for name in names if (kind := host.read(f"{directory}/{name}")) in MESSAGES)
