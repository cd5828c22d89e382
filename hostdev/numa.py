"""Which guest NUMA node stands for a host node, as the domain's memory placement says."""

from __future__ import annotations

import re

from domxml.document import Domain

_RANGE = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)


def guest_node(domain: Domain, host_node: int) -> int | None:
    """The guest node whose memory is bound to that host node alone; None where nothing says so."""
    for memnode in domain.root.iterfind("numatune/memnode"):
        cell = memnode.get("cellid", "")
        if cell.isdigit() and _nodes(memnode.get("nodeset", "")) == {host_node}:
            return int(cell)
    return None


def _nodes(nodeset: str) -> set[int]:
    """Read `0,2-3`; an exclusion (`^1`) or anything else is not a plain answer, and gives nothing."""
    nodes: set[int] = set()
    for part in nodeset.split(","):
        match = _RANGE.fullmatch(part.strip())
        if not match:
            return set()
        first, last = int(match[1]), int(match[2] or match[1])
        nodes.update(range(first, min(last, first + 1024) + 1))
    return nodes
