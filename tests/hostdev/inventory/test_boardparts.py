"""Parts of the board and of the processor: which functions are, which are not, and where only the BARs tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.gate.check import verdict_of
from hostdev.inventory.bars import Bar, BarKind, Bars
from hostdev.inventory.host import Host
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.pciclasses import BY_CLASS, BY_DRIVER, BY_VENDOR, BoardPart, board_part, may_be_board_part
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.gate.build import at, bridge, function, machine, vf
from tests.hostdev.machines.builder import Builder

D = "0000:65:00.0"
NO_BAR = ["0x0000000000000000 0x0000000000000000 0x0000000000000000"] * 7
SOME_BAR = Bars((Bar(0, BarKind.MEM32, 0x4000),))
MEMORY = "0x00000000fb000000 0x00000000fb003fff 0x0000000000040200"


def _named(name: str, device: int, class_code: int, **facts: object) -> object:
    return pytest.param(function(D, device=device, class_code=class_code, **facts), id=name)


@pytest.mark.parametrize(
    "part",
    [
        _named("host bridge of any vendor", 0xAF00, 0x060000, vendor=0x177D, driver=None),
        _named("CXL memory", 0x0D93, 0x050200, driver="cxl_pci"),
        _named("event collector on pcieport", 0x0B23, 0x080700, driver="pcieport"),
        _named("performance counters without a driver", 0x3CE6, 0x110100, driver=None),
        _named("uncore by its driver", 0x6FB0, 0x088000, driver="bdx_uncore"),
        _named("memory errors", 0x3CA8, 0x088000, driver="sbridge_edac"),
        _named("speed select", 0x3251, 0x088000, driver="isst_if_pci"),
        _named("uncore by its number", 0x3246, 0x088000, driver=None),
        _named("uncore of a processor not known, by its BARs", 0x7777, 0x088000, driver=None, bars=Bars()),
        _named("telemetry", 0x09A7, 0x088000, driver="intel_vsec", bars=SOME_BAR),
        _named("firmware flash", 0x51A4, 0x0C8000, driver="intel-spi"),
        _named("firmware flash bound for a guest", 0x51A4, 0x0C8000, driver="vfio-pci"),
        _named("firmware flash without a driver", 0x06A4, 0x0C8000, driver=None),
        _named("management engine", 0x8C3A, 0x078000, driver="mei_me"),
        _named("trusted execution engine", 0x0F18, 0x108000, driver="mei_txe"),
        _named("iLO", 0x3307, 0x088000, vendor=0x103C, driver="hpilo"),
        _named("iLO's USB", 0x3300, 0x0C0300, vendor=0x103C, driver="uhci_hcd"),
        _named("iRMC", 0x0800, 0x0B4000, vendor=0x19A2, driver=None),
        _named("iDRAC", 0x001B, 0xFF0000, vendor=0x1912, driver=None),
        _named("display of a management controller", 0x2000, 0x030000, vendor=0x1A03, driver="ast"),
        _named("G200 of a management controller", 0x0534, 0x030000, vendor=0x102B, driver="mgag200"),
        _named("management of a PCIe switch", 0x00B2, 0x010700, vendor=0x1000, driver="mpt3sas"),
        _named("security processor", 0x1486, 0x108000, vendor=0x1022, driver="ccp"),
        _named("dummy function", 0x148A, 0x130000, vendor=0x1022, driver=None),
        _named("SMBus of a PIIX4 in a bridge's class", 0x7113, 0x068000, driver="piix4_smbus"),
        _named("thermal sensor with a blank in its driver's name", 0x3B32, 0x118000, driver="intel ips"),
    ],
)
def test_a_part_of_the_board_never_passes(part: PciFunction) -> None:
    verdict = verdict_of(machine(part), at(D))
    (found,) = (finding for finding in verdict.findings if finding.code == "platform-device")
    known = board_part(part)
    assert known is not None
    assert found.message == f"is the board's {known.name}: {known.why}"
    assert not verdict.passes
    assert not any("driver_override" in finding.hint for finding in verdict.findings)


@pytest.mark.parametrize(
    "device",
    [
        _named("I/OAT in the numbers of the uncore", 0x3C20, 0x088000, bars=SOME_BAR),
        _named("DSA", 0x0B25, 0x088000, bars=SOME_BAR),
        _named("neural accelerator of a processor for laptops", 0x464F, 0x088000, bars=SOME_BAR),
        _named("PTDMA", 0x1498, 0x108000, vendor=0x1022),
        _named("UCSI of a graphics card", 0x1AD9, 0x0C8000, vendor=0x10DE),
        _named("NVSwitch", 0x1AF1, 0x068000, vendor=0x10DE),
        _named("FPGA that says memory controller", 0x903F, 0x058000, vendor=0x10EE),
        _named("SD host controller", 0xE822, 0x080501, vendor=0x1180),
        _named("serial port of virtio", 0x1043, 0x078000, vendor=0x1AF4),
        _named("QAT", 0x37C8, 0x0B4000),
        _named("a Matrox card", 0x2527, 0x030000, vendor=0x102B),
        _named("a SAS controller", 0x0072, 0x010700, vendor=0x1000),
    ],
)
def test_a_device_for_guests_is_no_part_of_the_board(device: PciFunction) -> None:
    assert board_part(device) is None
    assert not may_be_board_part(device)


def test_bridges_and_vfs_are_none() -> None:
    assert board_part(bridge(D)) is None
    assert board_part(bridge(D, class_code=0x060000)) is None
    assert board_part(vf(D, "0000:64:00.0", class_code=0x088000, bars=Bars())) is None


def test_where_only_the_bars_would_tell_the_verdict_is_unknown() -> None:
    host = machine(function(D, device=0x7777, class_code=0x088000, driver=None))
    verdict = verdict_of(host, at(D))
    assert verdict.open
    assert "only its BARs would tell" in " ".join(finding.message for finding in verdict.findings)
    assert not any("driver_override" in finding.hint for finding in verdict.findings)
    neighbour = machine(function(D, device=0x7777, class_code=0x088000, driver="x"), function("0000:65:00.1"))
    hints = [finding.hint for finding in verdict_of(neighbour, at("0000:65:00.1")).findings]
    assert hints == [
        f"{D}: it is not known whether it is a part of the board; move the card to a slot of its own IOMMU group"
    ]


@pytest.mark.parametrize(
    ("lines", "has_bars"),
    [
        (NO_BAR, False),
        ([MEMORY, *NO_BAR[1:]], True),
        ([*NO_BAR[:5], MEMORY, *NO_BAR[:1]], True),
        ([*NO_BAR[1:], MEMORY], False),
        ([*NO_BAR, *NO_BAR[:1], MEMORY], False),
        (None, None),
    ],
)
def test_a_scan_looks_whether_there_are_bars(lines: list[str] | None, has_bars: bool | None, tmp_path: Path) -> None:  # noqa: FBT001
    """The first six lines are BARs; the ROM, the BARs of VFs and the windows of bridges follow."""
    built = Builder()
    place = built.function(built.root("pci0000:64"), D, "8086:7777", 0x088000)
    nic = built.function(built.root("pci0000:64"), "0000:65:00.1", "8086:1572", 0x020000)
    for each in (place, nic):
        if lines is not None:
            built.file(f"{each.path}/resource", *lines)
    layout.write(built.recording(""), tmp_path / "host")
    with Host(tmp_path / "host") as host:
        for seen in (scan(host), scan(host, only=[PciAddress.parse(D)])):
            assert seen.functions[at(D)].has_bars is has_bars
        assert scan(host).functions[at("0000:65:00.1")].has_bars is None


def test_every_row_says_what_it_is_and_why() -> None:
    parts: list[BoardPart] = [*BY_CLASS.values(), *(part for _, part in BY_DRIVER), *(row.part for row in BY_VENDOR)]
    for part in parts:
        assert 20 < len(part.why) < 100, part
        assert not part.name.startswith(("the ", "a ", "an ")), part
        assert not part.why.endswith("."), part
