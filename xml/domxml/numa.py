"""Which guest NUMA node stands for a host node: as the domain binds its memory, else as it pins its CPUs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from domxml.document import Domain
from domxml.pciaddress import read_number

_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)
_MOST = 8192
"""More CPUs than that no kernel has."""


def guest_node(domain: Domain, host_node: int, cpus: Mapping[int, AbstractSet[int]]) -> int | None:
    """The guest node that lives on that host node alone; None where nothing says so, or two things say different.

    `cpus` tells which host CPUs each host node has.
    """
    for memnode in domain.root.iterfind("numatune/memnode"):
        number = read_number(memnode.get("cellid"))
        if number is not None and _set(memnode.get("nodeset", "")) == 1 << host_node:
            return number
    if domain.root.find("numatune/memnode") is not None:
        return None
    there = sum(1 << cpu for cpu in cpus.get(host_node, frozenset()))
    pins = domain.root.iterfind("cputune/vcpupin")
    pinned = {read_number(pin.get("vcpu")): _set(pin.get("cpuset", "")) for pin in pins}
    # Bits of vCPUs that are on that host node alone.
    on_node = (vcpu for vcpu, host in pinned.items() if vcpu is not None and host and not host & ~there)
    inside = sum(1 << vcpu for vcpu in on_node if vcpu <= _MOST)
    for position, cell in enumerate(domain.root.iterfind("cpu/numa/cell")):
        used = _set(cell.get("cpus", ""))
        if used and not used & ~inside:
            return read_number(cell.get("id", str(position)))
    return None


def _set(text: str) -> int:
    """Read `0,2-3` as bits; an exclusion (`^1`) or anything else is not a plain answer, and gives none."""
    bits = 0
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if not match:
            return 0
        first, last = int(match[1]), int(match[2] or match[1])
        if last > _MOST:
            return 0
        if first <= last:
            bits |= ((1 << (last - first + 1)) - 1) << first
    return bits
