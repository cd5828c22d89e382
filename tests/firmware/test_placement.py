"""Where real firmware puts every register, beside what was computed from the domain."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.fit.firmware import firmware_of_image, parse_firmware
from hostdev.fit.fit import Fit, PlacedFunction, fit
from hostdev.fit.solution import Outcome
from tests.firmware.boot import Answer, boot
from tests.firmware.cases import CASES, NAMES, Case
from tests.firmware.images import Images, images
from tests.oracle.emulator import Emulator
from tests.oracle.fixtures import may_build, teller
from tests.oracle.roots import Unavailable

pytestmark = pytest.mark.vmhost

NOWHERE = -1


class Bench:
    """The firmware of each release, and libvirt to make command lines for it."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.say = teller(request)
        self.open = ExitStack()
        self.images: dict[str, Images | Unavailable] = {}
        self.emulators: dict[str, Emulator] = {}

    def images_of(self, suite: str) -> Images:
        if suite not in self.images:
            self.images[suite] = images(suite, build=may_build(), say=self.say)
        found = self.images[suite]
        if isinstance(found, Unavailable):
            pytest.skip(found.reason)
        return found

    def boot(self, case: Case, directory: Path) -> Answer:
        there = self.images_of(case.suite)
        if case.suite not in self.emulators:
            self.emulators[case.suite] = self.open.enter_context(Emulator(there.root))
        words = self.emulators[case.suite].words(case.given.xml.decode())
        dead = case.outcome in {Outcome.NO_PCI, Outcome.NOT_STARTED}
        return boot(case.given, words, there, case.kind, directory, without_pci=dead)


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    opened = Bench(request)
    with opened.open:
        yield opened


GUESTS = [pytest.param(case, id=case.id, marks=[] if case.often else [pytest.mark.thorough]) for case in CASES]


@pytest.mark.parametrize("case", GUESTS)
def test_every_register_is_where_it_was_computed(bench: Bench, case: Case, tmp_path: Path) -> None:
    found = fit(case.given.domain, case.given.functions, firmware=parse_firmware(case.firmware))
    assert found.outcome is case.outcome
    answer = bench.boot(case, tmp_path / "boot")

    assert answer.started is (found.outcome is not Outcome.NOT_STARTED), answer.said
    if answer.started:
        assert answer.ready or found.outcome is Outcome.NO_PCI, answer.said
        assert _differences(found, answer) == []
        assert found.depends == ()


def _differences(found: Fit, answer: Answer) -> list[str]:
    compared = 0
    different = []
    for function in found.functions:
        name = answer.ids[PciAddress.parse(function.guest)]
        for placed, address in _addresses(function):
            compared += 1
            seen = answer.addresses.get((name, placed))
            # An address of 0 is none to QEMU.
            expected = NOWHERE if address in {0, None} else address
            if seen != expected:
                different.append(f"{name} {placed}: computed {expected:#x}, seen {seen}")
    assert compared >= len(found.functions)
    return different


def _addresses(function: PlacedFunction) -> Iterator[tuple[int, int | None]]:
    for placed in function.bars:
        if placed.address is not None or function.placed is False:
            yield placed.bar.index, placed.address


@pytest.mark.parametrize(("suite", "kind"), NAMES)
def test_an_image_tells_its_release(bench: Bench, suite: str, kind: str) -> None:
    told = firmware_of_image(bench.images_of(suite).code(kind).read_bytes())
    assert told is not None
    assert told.kind == kind
    # Debian 12's OVMF has no version in it.
    known = parse_firmware(NAMES[suite, kind]).release
    assert told.release in ({()} if (suite, kind) in {("bookworm", "ovmf"), ("bookworm", "aavmf")} else {known})


def test_there_are_enough() -> None:
    assert len(CASES) >= 60
    assert {case.outcome for case in CASES} == set(Outcome) - {Outcome.DEPENDS}
    assert 15 <= sum(case.often for case in CASES) <= 35
