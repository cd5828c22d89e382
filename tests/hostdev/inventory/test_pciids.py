"""Names of vendors, devices and classes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from hostdev.inventory import pciids
from hostdev.inventory.machine import PciFunction
from hostdev.inventory.pciids import Name, PciIds

TEXT = """# comment
8086  Intel Corporation
	1572  Ethernet Controller X710
		8086 0001  X710-4
		108e 0000  Quad
	1573  Other
		8086 0001  Not this one
# 10de  A comment
10de  NVIDIA Corporation
	1eb8  TU104GL [Tesla T4]
10df  Emulex
	1572  Of another vendor
ffff  Illegal Vendor ID
C 02  Network controller
	1572  Not a device
"""
IDS = PciIds(TEXT.encode())


def function(vendor: int, device: int, sub: tuple[int, int] | None = None, code: int = 0x020000) -> PciFunction:
    return PciFunction(PciAddress(0, 0, 0, 0), vendor, device, code, *(sub or ()))


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (function(0x8086, 0x1572), Name("Intel Corporation", "Ethernet Controller X710")),
        (function(0x8086, 0x1572, (0x8086, 1)), Name("Intel Corporation", "Ethernet Controller X710", "X710-4")),
        (function(0x8086, 0x1572, (0x108E, 0)), Name("Intel Corporation", "Ethernet Controller X710", "Quad")),
        (function(0x8086, 0x1572, (0x8086, 2)), Name("Intel Corporation", "Ethernet Controller X710")),
        (function(0x8086, 0x1EB8), Name("Intel Corporation")),
        (function(0x10DE, 0x1EB8), Name("NVIDIA Corporation", "TU104GL [Tesla T4]")),
        (function(0x10DE, 0x1572), Name("NVIDIA Corporation")),
        (function(0xFFFF, 0x1572), Name("Illegal Vendor ID")),
        (function(0x1234, 0x1572), Name()),
    ],
)
def test_names(found: PciFunction, name: Name) -> None:
    assert IDS.name(found) == name


def test_the_first_line_counts_too() -> None:
    assert PciIds(b"8086  Intel\n\t0001  One").name(function(0x8086, 1)) == Name("Intel", "One")


@given(st.binary(max_size=200) | st.text("08fC \t\n#", max_size=200).map(str.encode))
def test_no_file_is_too_odd(text: bytes) -> None:
    assert isinstance(PciIds(text).name(function(0x8086, 0x0808, (8, 8))), Name)


HEX = st.integers(0, 0xFFFF)


@given(st.dictionaries(HEX, st.dictionaries(HEX, st.just("device"), max_size=5), min_size=1, max_size=8), HEX, HEX)
def test_what_is_written_is_found_and_nothing_else(table: dict[int, dict[int, str]], vendor: int, device: int) -> None:
    text = "".join(
        f"{v:04x}  vendor {v}\n" + "".join(f"\t{d:04x}  {v} {d}\n" for d in sorted(devices))
        for v, devices in sorted(table.items())
    )
    ids = PciIds(text.encode())

    for v, devices in table.items():
        for d in devices:
            assert ids.name(function(v, d)) == Name(f"vendor {v}", f"{v} {d}")
    if device not in table.get(vendor, {}):
        assert ids.name(function(vendor, device)).device is None


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x020000, "ethernet"),
        (0x010802, "nvme"),
        (0x030200, "3d"),
        (0x060400, "pci-bridge"),
        (0x068000, "bridge"),
        (0x120000, "accelerator"),
        (0x000200, "legacy"),
        (0x7F0100, "class-7f01"),
    ],
)
def test_classes(code: int, name: str) -> None:
    assert pciids.class_name(code) == name


@pytest.mark.parametrize(
    ("vendor", "short"),
    [
        ("Intel Corporation", "Intel"),
        ("NVIDIA Corporation", "NVIDIA"),
        ("Advanced Micro Devices, Inc. [AMD/ATI]", "AMD"),
        ("Realtek Semiconductor Co., Ltd.", "Realtek"),
        ("Red Hat, Inc.", "Red Hat"),
        ("Samsung Electronics Co Ltd", "Samsung Electronics"),
        ("Illegal", "Illegal"),
        ("Inc", "Inc"),
    ],
)
def test_vendors_as_people_say_them(vendor: str, short: str) -> None:
    assert pciids.short_vendor(vendor) == short


def test_titles_fall_back_to_numbers() -> None:
    intel = function(0x8086, 0x1572)

    assert pciids.title(intel, Name()) == "8086:1572"
    assert pciids.title(intel, Name("Intel Corporation")) == "Intel 1572"
    assert pciids.title(intel, Name("Intel Corporation", "X710")) == "Intel X710"


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        pciids.namer(str(tmp_path / "none"))
    empty = tmp_path / "empty"
    empty.touch()
    assert pciids.namer(str(empty))(function(1, 2)) == Name()


def test_without_a_file_udev_knows_or_nobody(mocker: MockerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    mocker.patch.object(pciids, "USUAL_PLACES", ())

    assert pciids.namer()(function(0x8086, 0x1572)) == Name()
    assert isinstance(pciids.namer(live=True)(function(0x8086, 0x1572)), Name)
    monkeypatch.setitem(sys.modules, "pyudev", None)
    assert pciids.namer(live=True)(function(0x8086, 0x1572)) == Name()
