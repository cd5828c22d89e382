"""Which guest NUMA node stands for a host node: as the domain binds its memory, else as it pins its CPUs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from domxml.document import Domain

_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)


def guest_node(domain: Domain, host_node: int, cpus: Mapping[int, AbstractSet[int]]) -> int | None:
    """The guest node that lives on that host node alone; None where nothing says so, or two things say different.

    `cpus` tells which host CPUs each host node has.
    """
    for memnode in domain.root.iterfind("numatune/memnode"):
        number = memnode.get("cellid", "")
        if number.isdigit() and _numbers(memnode.get("nodeset", "")) == {host_node}:
            return int(number)
    if domain.root.find("numatune/memnode") is not None:
        return None
    pinned = {
        int(pin.get("vcpu", "-1")): _numbers(pin.get("cpuset", "")) for pin in domain.root.iterfind("cputune/vcpupin")
    }
    for position, cell in enumerate(domain.root.iterfind("cpu/numa/cell")):
        used = [pinned.get(vcpu, set()) for vcpu in _numbers(cell.get("cpus", ""))]
        if used and all(pins and pins <= cpus.get(host_node, frozenset()) for pins in used):
            return int(cell.get("id", str(position)))
    return None


def _numbers(text: str) -> set[int]:
    """Read `0,2-3`; an exclusion (`^1`) or anything else is not a plain answer, and gives nothing."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if not match:
            return set()
        first, last = int(match[1]), int(match[2] or match[1])
        numbers.update(range(first, min(last, first + 4096) + 1))
    return numbers
