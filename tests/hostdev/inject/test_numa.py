"""A guest NUMA node stands for a host node where memory, or else CPUs, are bound to it alone."""

from __future__ import annotations

import pytest

from domxml.document import Domain
from domxml.numa import guest_node

CPUS = {0: frozenset({0, 1, 2, 3}), 1: frozenset({4, 5, 6, 7})}
CELLS = "<cpu><numa><cell id='0' cpus='0-1' memory='1'/><cell id='1' cpus='2,3' memory='1'/></numa></cpu>"
PINS = "".join(f"<vcpupin vcpu='{vcpu}' cpuset='{cpus}'/>" for vcpu, cpus in enumerate(("4", "5-6", "0", "1,2")))


def domain(inside: str) -> Domain:
    return Domain.parse(f"<domain type='kvm'>{inside}<devices/></domain>".encode())


@pytest.mark.parametrize(
    ("inside", "nodes"),
    [
        ("", {0: None, 1: None}),
        ("<numatune><memnode cellid='0' nodeset='1'/><memnode cellid='1' nodeset='0'/></numatune>", {0: 1, 1: 0}),
        ("<numatune><memnode cellid='0' nodeset='0-1'/></numatune>", {0: None, 1: None}),
        ("<numatune><memnode cellid='0' nodeset='0,^1'/></numatune>", {0: None}),
        (f"{CELLS}<cputune>{PINS}</cputune>", {0: 1, 1: 0}),
        (f"{CELLS}<cputune><vcpupin vcpu='0' cpuset='4'/></cputune>", {0: None, 1: None}),
        (f"<numatune><memnode cellid='1' nodeset='1'/></numatune>{CELLS}<cputune>{PINS}</cputune>", {1: 1, 0: None}),
    ],
)
def test_which_guest_node_stands_for_a_host_node(inside: str, nodes: dict[int, int | None]) -> None:
    assert {host: guest_node(domain(inside), host, CPUS) for host in nodes} == nodes
