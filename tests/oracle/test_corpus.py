"""Over libvirt's own test inputs: the emulation is right or says that it does not know, and injecting moves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.guestpci.machines import RootKind
from domxml.guestpci.prediction import predict
from domxml.guestpci.topology import Topology
from domxml.transform import Transformed
from tests.domxml.guestslots import inject, wish
from tests.oracle.addresses import moved
from tests.oracle.client import Defined, Oracle
from tests.oracle.corpus import Corpus
from tests.oracle.portable import portable

pytestmark = pytest.mark.oracle

WISHES = (
    wish("alpha", "0000:fe:02.2"),
    wish("beta", "0000:fe:02.3"),
    wish("gamma", "c0ffee00-1111-2222-3333-444455556666"),
)
ROOM_FULL = {"no-free-place"}
"""What may be said of a base into which no device fits: libvirt itself finds no slot there."""
NOT_SERVED = {"unsupported-machine", "devices-count", "only-one-vfio-ap"}
"""Machines without PCI, inputs without <devices>, a second vfio-ap device."""


@dataclass(frozen=True)
class Base:
    """An input that this libvirt defines, and what it makes of it."""

    name: str
    xml: bytes
    defined: Defined
    topology: Topology


@pytest.fixture(scope="module")
def bases(oracle: Oracle, corpus: Corpus) -> list[Base]:
    inputs = corpus.inputs()
    found = []
    for (name, xml), answer in zip(inputs, oracle.define_many([xml for _, xml in inputs]), strict=True):
        if isinstance(answer, Defined):
            text = portable(xml, oracle.version).encode()
            if b"<devices" in text:
                found.append(Base(name, text, answer, Topology(Domain.parse(text))))
    return found


def test_the_emulation_is_libvirt_or_says_that_it_does_not_know(
    oracle: Oracle, bases: list[Base], capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for base in bases:
        if base.topology.machine.root not in {RootKind.PCIE, RootKind.PCI}:
            continue
        machine = base.topology.machine.name
        prediction = predict(base.topology)
        if not prediction.known:
            counts[f"{machine} unknown"] += 1
            assert not prediction.refusal, (base.name, prediction.refusal)
            continue
        counts[f"{machine} equal"] += 1
        ports = {f"controller:pci:{port.index}": port.address for port in prediction.ports}
        places = {key: place for key, place in base.defined.addresses.items() if not key.startswith("console")}
        got = {key: place for key, place in places.items() if key.startswith("controller:pci:")}
        others = sorted(place for key, place in places.items() if place is not None and key not in got)
        if ports != got or sorted((prediction.addresses or {}).values()) != others:
            wrong.append(base.name)
    _print(capsys, oracle, "emulation against libvirt", counts)

    assert not wrong
    assert counts["q35 equal"] + counts["virt equal"] > 20 * (counts["q35 unknown"] + counts["virt unknown"])


def test_three_devices_are_accepted_and_nothing_moves(
    oracle: Oracle, bases: list[Base], capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    injected = list(_injected(bases, counts))
    answers = oracle.define_many([result.xml for _, result in injected])
    wrong = []
    for (base, result), answer in zip(injected, answers, strict=True):
        machine = base.topology.machine.name
        if not isinstance(answer, Defined):
            wrong.append((base.name, answer.message))
            continue
        counts[f"{machine} accepted"] += 1
        told = {finding.code for finding in result.findings}
        shifts = moved(base.defined.addresses, answer.addresses)
        if shifts and "placement-left-to-libvirt" not in told:
            wrong.append((base.name, str(shifts)))
        wrong += [
            (base.name, f"{change.alias} is not at {change.placed.address}")
            for change in result.changes
            if change.placed.address is not None and change.placed.address not in answer.addresses.values()
        ]
        again = inject(answer.xml, *WISHES)
        if any(change.action == "added" for change in again.changes) or again.controllers:
            wrong.append((base.name, "its own read-back is not recognised"))
    _print(capsys, oracle, "three devices injected", counts)

    assert not wrong
    assert counts["q35 accepted"] > 40


def _injected(bases: list[Base], counts: Counter[str]) -> Iterator[tuple[Base, Transformed]]:
    for base in bases:
        try:
            yield base, inject(base.xml, *WISHES)
        except PassgateError as refusal:
            if refusal.code not in ROOM_FULL | NOT_SERVED:
                raise
            counts[f"{base.topology.machine.name} refused: {refusal.code}"] += 1


def _print(capsys: pytest.CaptureFixture[str], oracle: Oracle, title: str, counts: Counter[str]) -> None:
    with capsys.disabled():
        words = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        print(f"\n  libvirt {oracle.version // 1_000_000}.{oracle.version // 1000 % 1000}: {title}: {words}")
