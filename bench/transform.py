"""The whole transform of a 10 KB domain in one process, beside what lxml needs to read and write it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from lxml import etree

from bench.interleaved import measure
from bench.table import Goal, goals, table
from domxml.alias import alias_for
from domxml.document import Domain
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress
from domxml.transform import transform

DOMAINS = Path("tests/fixtures/domains")
FIRST, READ_BACK, ALL_THERE = "as virt-launcher makes it", "as libvirt reads it back", "that has the device already"
SHAPES = {
    FIRST: DOMAINS / "q35-big-10kb.xml",
    READ_BACK: DOMAINS / "passes" / "q35-big-10kb.call1.readback.xml",
}
SOURCE = PciAddress.parse("0000:3d:02.2")
WISH = GuestSlot("qat", (GuestFunction(SOURCE, alias_for("qat"), 0, {}),), None, None)

TURNS = 300
MOST_TIMES_LXML = {FIRST: 4.0, READ_BACK: 2.5, ALL_THERE: 1.8}
LEAST_PER_SECOND = 1500.0
MOST_TIMES_FIRST = 0.6


def run() -> str:
    """Measure both shapes, and what most calls of a boot find: a domain that has the device."""
    shapes = {name: path.read_bytes() for name, path in SHAPES.items()}
    shapes[ALL_THERE] = _transformed(shapes[READ_BACK])
    return "\n\n".join((*(_shape(name, data) for name, data in shapes.items()), _all_there(shapes)))


def _all_there(shapes: Mapping[str, bytes]) -> str:
    """What a pass costs on which nothing is to be done, beside the first one of the same boot."""
    passes: dict[str, Callable[[], object]] = {name: partial(_transformed, shapes[name]) for name in (ALL_THERE, FIRST)}
    timings = measure(passes, turns=TURNS, clock=time.thread_time)
    there, first = timings.values()
    times = there.times(first)
    goal = Goal(f"at most {MOST_TIMES_FIRST} times a first pass", f"{times:.2f}", times <= MOST_TIMES_FIRST)
    return f"{table('A pass on which all is there', timings.values(), first)}\n{goals([goal])}"


def _transformed(data: bytes) -> bytes:
    return transform(Domain.parse(data), (WISH,)).xml


def _shape(name: str, data: bytes) -> str:
    def whole() -> bytes:
        return _transformed(data)

    def alone() -> bytes:
        return etree.tostring(etree.fromstring(data))

    timings = measure(
        {"parse and transform": whole, "lxml parse and serialise": alone}, turns=TURNS, clock=time.thread_time
    )
    ours, lxml = timings.values()
    times, rate, most = ours.times(lxml), 1 / ours.median, MOST_TIMES_LXML[name]
    promises = (
        Goal(f"at most {most} times lxml alone", f"{times:.1f}", times <= most),
        Goal(f"at least {LEAST_PER_SECOND:.0f} a second", f"{rate:.0f}", rate >= LEAST_PER_SECOND),
    )
    title = f"Transform of a domain {name}, {len(data)} bytes, in one process"
    return f"{table(title, timings.values(), lxml)}\n{goals(promises)}"
