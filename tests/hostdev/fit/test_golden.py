"""What real firmware did with guests that were booted and asked: the figures stand here, the answer is computed."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from hostdev.fit.firmware import parse_firmware
from hostdev.fit.fit import Fit, fit
from hostdev.fit.solution import Outcome
from tests.hostdev.fit.guests import (
    AMD,
    DISPLAY,
    GIB,
    INTEL,
    IVSHMEM,
    LARGE,
    MIB,
    OVMF,
    TESTDEV,
    TIB,
    VGA,
    Card,
    Given,
    Slot,
    guest,
    ports,
    processor,
    shared,
)

TRIXIE, SID = "ovmf-2025.02-8+deb13u1", "ovmf-2026.08"
FITS, MISSING, DEAD, LOST = Outcome.FITS, Outcome.DEVICES_MISSING, Outcome.NO_PCI, Outcome.OUT_OF_REACH


class Golden(NamedTuple):
    """A guest, and what became of the large register of each of its devices: an address, or None."""

    name: str
    arguments: tuple[str, ...]
    slots: list[Slot]
    outcome: Outcome
    addresses: list[int | None] | None = None
    devices: str = ""


def row(first: int, count: int, stride: int) -> list[int | None]:
    return [first + number * stride for number in range(count)]


B200_LIKE = [Slot((Card(IVSHMEM, 512 * GIB), Card(IVSHMEM, 2 * MIB)))] * 8
DISK = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"

OVMF_CASES = (
    Golden("8 x 16 GiB", AMD, shared(16 * GIB, 8), FITS, row(0xC000000000, 8, 16 * GIB)),
    Golden("9 x 16 GiB", AMD, shared(16 * GIB, 9), MISSING, [*row(0xC000000000, 7, 16 * GIB), None, None]),
    Golden("2 x 128 GiB", AMD, shared(128 * GIB, 2), MISSING, [None, None]),
    Golden("intel 2 x 16 GiB", INTEL, shared(16 * GIB, 2), FITS, row(0x800000000, 2, 16 * GIB)),
    Golden("intel 3 x 16 GiB", INTEL, shared(16 * GIB, 3), MISSING, [0x800000000, 0xC00000000, None]),
    Golden("on bus 0", INTEL, [Slot((Card(IVSHMEM, 16 * GIB),), on_root=True)] * 3, DEAD, [None] * 3),
    Golden("told", processor(40, "intel", told=40), shared(16 * GIB, 3), FITS, row(0xE000000000, 3, 16 * GIB)),
    Golden("16 x 512 GiB", LARGE, shared(512 * GIB, 16), FITS, row(0x380000000000, 16, 512 * GIB)),
    Golden("17 x 512 GiB", LARGE, shared(512 * GIB, 17), MISSING, [*row(0x380000000000, 15, 512 * GIB), None, None]),
    Golden("47 bits", processor(47), shared(512 * GIB, 16), FITS, row(0x380000000000, 16, 512 * GIB)),
    Golden(
        "exact size",
        (*AMD, "-fw_cfg", "name=opt/ovmf/X-PciMmio64Mb,string=65536"),
        shared(64 * GIB, 2),
        MISSING,
        [None, None],
    ),
    Golden("hotplug off", AMD, shared(64 * GIB, 2, hotplug=False), FITS, row(0xC000000000, 2, 64 * GIB)),
    Golden("hotplug off, 3", AMD, shared(64 * GIB, 3, hotplug=False), MISSING, [*row(0xC000000000, 2, 64 * GIB), None]),
    Golden("nothing else", INTEL, shared(64 * GIB, 1), DEAD, [None]),
    Golden("something else", INTEL, [*shared(64 * GIB, 1), *ports(Card(TESTDEV, GIB))], MISSING, [None, 0x800000000]),
    Golden("vga", AMD, ports(Card(VGA, 256 * GIB)), DEAD, [None], DISK),
    Golden("display", AMD, ports(Card(DISPLAY, 256 * GIB)), MISSING, [None], DISK),
    Golden(
        "a rest beside each",
        INTEL,
        [Slot((Card(TESTDEV, size * GIB), Card(TESTDEV, GIB))) for size in (8, 8, 4)],
        MISSING,
        [0x800000000, 0xA00000000, None, 0xC40000000, 0xB00000000, 0xC00000000],
    ),
    Golden("10 with I/O", AMD, ports(*[Card(TESTDEV)] * 10), MISSING),
    Golden("16 empty ports", LARGE, [*B200_LIKE, *[Slot()] * 16], MISSING),
    Golden("8 empty ports", LARGE, [*B200_LIKE, *[Slot()] * 8], FITS),
)
SEABIOS_CASES = (
    Golden("half of the space", AMD, shared(512 * GIB, 1), LOST, [0]),
    Golden("no limit", INTEL, shared(TIB, 2), LOST, [2 * TIB, TIB]),
    Golden("14 with I/O", AMD, ports(*[Card(TESTDEV)] * 14), FITS),
    Golden("15 with I/O", AMD, ports(*[Card(TESTDEV)] * 15), DEAD),
)


def answer(golden: Golden, firmware: str, *, loader: str) -> tuple[Given, Fit]:
    given = guest(golden.slots, arguments=golden.arguments, loader=loader, devices=golden.devices)
    return given, fit(given.domain, given.functions, firmware=parse_firmware(firmware))


def large(given: Given, found: Fit) -> list[int | None]:
    """The address of each host device's largest register, in the order of the devices."""
    addresses = {
        function.source: max(function.bars, key=lambda placed: placed.bar.size).address
        for function in found.functions
        if function.source
    }
    return [addresses[str(source)] for source in given.cards]


@pytest.mark.parametrize("firmware", [TRIXIE, SID])
@pytest.mark.parametrize("golden", OVMF_CASES, ids=lambda golden: golden.name)
def test_ovmf(golden: Golden, firmware: str) -> None:
    given, found = answer(golden, firmware, loader=OVMF)
    assert found.outcome is golden.outcome
    assert found.depends == ()
    if golden.addresses is not None:
        assert large(given, found) == golden.addresses


@pytest.mark.parametrize("firmware", ["seabios-1.16.3", "seabios-1.17.0"])
@pytest.mark.parametrize("golden", SEABIOS_CASES, ids=lambda golden: golden.name)
def test_seabios(golden: Golden, firmware: str) -> None:
    given, found = answer(golden, firmware, loader="")
    assert found.outcome is golden.outcome
    if golden.addresses is not None:
        assert large(given, found) == golden.addresses


def test_the_tenth_with_io_is_missing_with_all_its_registers() -> None:
    golden = next(one for one in OVMF_CASES if one.name == "10 with I/O")
    _, found = answer(golden, SID, loader=OVMF)
    missing = [function for function in found.functions if function.placed is False]
    assert len(missing) == 1
    assert {placed.address for placed in missing[0].bars} == {None}
    assert [finding.code for finding in found.findings] == ["io-window-too-small"]


def test_before_may_2025_the_size_that_is_asked_for_is_the_least() -> None:
    golden = next(one for one in OVMF_CASES if one.name == "exact size")
    _, found = answer(golden, "ovmf-2024.11", loader=OVMF)
    assert found.outcome is FITS
    _, found = answer(golden, "ovmf-2025.02", loader=OVMF)
    assert found.outcome is Outcome.DEPENDS
    assert found.depends[0].cases[1].when.endswith("as Debian's does")
