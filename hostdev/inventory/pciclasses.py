"""PCI classes that matter for giving a device away, and the parts of the board that are none for a guest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from hostdev.inventory.machine import PciFunction

NETWORK = 0x02
DISPLAY = 0x03
"""Base class of VGA, XGA, 3D and other display controllers."""

COMPANIONS: Mapping[int, str] = MappingProxyType(
    {
        0x0401: "audio",
        0x0403: "audio",
        0x0C03: "USB",
        0x0C80: "UCSI",
    }
)
"""What a graphics card brings along in its slot, by class and subclass."""


def base(class_code: int) -> int:
    """The class without subclass and programming interface."""
    return class_code >> 16


def subclass(class_code: int) -> int:
    """Class and subclass without the programming interface."""
    return class_code >> 8


INTEL, AMD, HP = 0x8086, 0x1022, 0x103C
ASPEED, MATROX, RENESAS, SERVER_ENGINES = 0x1A03, 0x102B, 0x1912, 0x19A2
BROADCOM = 0x1000


class BoardPart(NamedTuple):
    """What a function is to the board, and why it stays with the host."""

    name: str
    why: str


_MEMORY = BoardPart("memory", "it is the host's own RAM or flash, or what controls it")
_CXL = BoardPart("CXL memory", "the host uses it as RAM, or could at any time")
_HOST_BRIDGE = BoardPart("host bridge", "the processor's registers are in its config space")
_ISA_BRIDGE = BoardPart("ISA bridge", "firmware, clock and the ports of the board are behind it")
_INTERRUPTS = BoardPart("interrupt controller", "the host's interrupts come through it")
_DMA = BoardPart("DMA controller", "it copies for the host, to any memory")
_CLOCK = BoardPart("timer", "the host's clocks run by it")
_HOTPLUG = BoardPart("hot-plug controller", "it turns the board's slots on and off")
_IOMMU = BoardPart("IOMMU", "it keeps guests apart from the host")
_EVENTS = BoardPart("event collector", "the root complex reports its errors through it")
_COUNTERS = BoardPart("performance counters", "they count for the whole processor")
_UNCORE = BoardPart("processor uncore", "memory controllers, caches and links of the processor are set up through it")
_SMBUS = BoardPart("SMBus controller", "memory modules and sensors are on its bus, some can be damaged over it")
_IPMI = BoardPart("management interface", "the management controller obeys it: power, fans, firmware")
_BMC = BoardPart("management controller", _IPMI.why)
_BMC_DISPLAY = BoardPart("management controller's display", "the controller and its memory can be reached through it")
_FLASH = BoardPart("firmware flash or serial bus", "a guest could rewrite the firmware, or reach chips on the board")
_ENGINE = BoardPart("management engine", "the host's firmware talks to the chipset through it")
_PSP = BoardPart("security processor", "keys, firmware TPM and encrypted VMs of the host depend on it")
_DUMMY = BoardPart("placeholder or trace function", "there is nothing in it for a guest")
_SENSORS = BoardPart("sensor or telemetry function", "temperature limits and power of the board are set through it")
_WATCHDOG = BoardPart("watchdog", "it resets the host when nobody feeds it")
_SWITCH = BoardPart("PCIe switch management", "all that hangs below the switch can be cut off through it")

BY_CLASS: Mapping[int, BoardPart] = MappingProxyType(
    {
        0x0500: BoardPart("RAM controller", _MEMORY.why),
        0x0501: BoardPart("flash controller", _MEMORY.why),
        0x0502: _CXL,
        0x0600: _HOST_BRIDGE,
        0x0601: _ISA_BRIDGE,
        0x0602: BoardPart("EISA bridge", _ISA_BRIDGE.why),
        0x0800: _INTERRUPTS,
        0x0801: _DMA,
        0x0802: _CLOCK,
        0x0803: BoardPart("clock", _CLOCK.why),
        0x0804: _HOTPLUG,
        0x0806: _IOMMU,
        0x0807: _EVENTS,
        0x0C05: _SMBUS,
        0x0C07: _IPMI,
        0x1101: _COUNTERS,
        0x1300: _DUMMY,
    }
)
"""By class and subclass, of any vendor."""

BY_DRIVER: tuple[tuple[str, BoardPart], ...] = (
    ("*_uncore", _UNCORE),
    ("*_edac", _UNCORE),
    ("isst_if_*", _UNCORE),
    ("iosf_mbi_pci", _UNCORE),
    ("agpgart-*", _HOST_BRIDGE),
    ("k10temp", _SENSORS),
    ("fam15h_power", _SENSORS),
    ("intel_vsec", _SENSORS),
    ("intel_pch_thermal", _SENSORS),
    ("intel ips", _SENSORS),
    ("proc_thermal*", _SENSORS),
    ("pcie_mp2_amd", _SENSORS),
    ("intel_ish_ipc", _SENSORS),
    ("intel-spi", _FLASH),
    ("intel-lpss", _FLASH),
    ("lpc_ich", _ISA_BRIDGE),
    ("lpc_sch", _ISA_BRIDGE),
    ("i801_smbus", _SMBUS),
    ("i2c_i801", _SMBUS),
    ("ismt_smbus", _SMBUS),
    ("piix4_smbus", _SMBUS),
    ("nForce2_smbus", _SMBUS),
    ("mei", _ENGINE),
    ("mei_*", _ENGINE),
    ("ccp", _PSP),
    ("hpilo", _BMC),
    ("ibmasm*", _BMC),
    ("ipmi_si*", _IPMI),
    ("hpwdt", _WATCHDOG),
    ("i6300esb timer", _WATCHDOG),
    ("cxl_pci", _CXL),
    ("pcieport", _EVENTS),
    ("switchtec", _SWITCH),
    ("intel_th_pci", _DUMMY),
    ("*_pmu", _COUNTERS),
)
"""By the driver of the host that has it, as patterns of its name. A device that a guest can have is on none of them."""


class VendorRow(NamedTuple):
    """One class of one vendor."""

    vendor: int
    subclass: int
    part: BoardPart
    devices: tuple[range, ...] = ()
    """The device numbers that are meant; all, where there is none."""
    unless: frozenset[int] = frozenset()
    """Those that are not: engines that a guest can have."""
    without_bars: bool = False
    """Only where the function has no BAR: with one it is something that can be driven."""


def _span(*starts: int, length: int = 0x100) -> tuple[range, ...]:
    return tuple(range(start, start + length) for start in starts)


_IOAT = frozenset(
    {
        *(block + n for block in (0x3C20, 0x0E20, 0x2F20, 0x6F20) for n in (*range(8), 0xE, 0xF)),
        *range(0x6F50, 0x6F54),
        0x2021,
        0x0B00,
    }
)
_DSA = frozenset({0x0B25, 0x0CFE, 0x11FB, 0x1212, 0x1216})
_PTDMA = frozenset({0x1498, 0x14C8})

BY_VENDOR: tuple[VendorRow, ...] = (
    # Sandy Bridge-EP, Ivy Bridge-EP, Haswell-EP, Broadwell-EP; Skylake-SP; Ice Lake-SP; Sapphire Rapids.
    VendorRow(
        INTEL,
        0x0880,
        _UNCORE,
        devices=(
            *_span(0x3C00, 0x0E00, 0x2F00, 0x6F00),
            range(0x2014, 0x2090),
            range(0x09A2, 0x09A8),
            range(0x3240, 0x3260),
            range(0x3440, 0x3480),
        ),
        unless=_IOAT | _DSA,
    ),
    VendorRow(INTEL, 0x0880, _UNCORE, unless=_IOAT | _DSA, without_bars=True),
    VendorRow(INTEL, 0x1180, _SENSORS),
    VendorRow(INTEL, 0x0580, BoardPart("power management controller", "the board sleeps and wakes by it")),
    VendorRow(INTEL, 0x0680, BoardPart("chipset function", _ISA_BRIDGE.why), devices=(range(0x7113, 0x7114),)),
    VendorRow(INTEL, 0x0780, _ENGINE),
    VendorRow(INTEL, 0x0C80, _FLASH),
    VendorRow(INTEL, 0x1080, _ENGINE),
    VendorRow(INTEL, 0xFF00, BoardPart("chipset function", "it has no class of its own, and no driver")),
    VendorRow(AMD, 0x1080, _PSP, unless=_PTDMA),
    VendorRow(AMD, 0x1180, _SENSORS),
    VendorRow(HP, 0x0880, _BMC),
    VendorRow(HP, 0x0C03, _BMC),
    VendorRow(RENESAS, 0xFF00, _BMC),
    VendorRow(SERVER_ENGINES, 0x0B40, _BMC),
    VendorRow(ASPEED, 0x0300, _BMC_DISPLAY),
    # G200e in its generations, which sits in the management controllers of Dell, HP and others.
    VendorRow(MATROX, 0x0300, _BMC_DISPLAY, devices=(range(0x0522, 0x0523), range(0x0530, 0x0540))),
    VendorRow(BROADCOM, 0x0107, _SWITCH, devices=(range(0x00B2, 0x00B3),)),
    VendorRow(BROADCOM, 0x0180, _SWITCH, devices=(range(0x02B0, 0x02B2), range(0xC010, 0xC011), range(0xC030, 0xC031))),
)
"""Classes that say nothing by themselves: by who made it."""

BARS_TELL = frozenset(row.subclass for row in BY_VENDOR if row.without_bars)
"""Classes of which the scan looks whether a function has a BAR."""


def board_part(function: PciFunction) -> BoardPart | None:
    """What a function is to the board; None for a device that a guest could have, as far as is known."""
    # A bridge is refused as one, and VFs are made for guests.
    if function.bridge or function.physfn is not None:
        return None
    return BY_CLASS.get(subclass(function.class_code)) or _by_driver(function) or _by_vendor(function)


def may_be_board_part(function: PciFunction) -> bool:
    """Whether only its BARs, which could not be looked at, would tell."""
    return (
        function.has_bars is None
        and not function.bridge
        and board_part(function) is None
        and any(row.without_bars for row in _rows(function))
    )


def _by_driver(function: PciFunction) -> BoardPart | None:
    return None if function.driver is None else _part_of_driver(function.driver)


@lru_cache(256)
def _part_of_driver(driver: str) -> BoardPart | None:
    return next((part for name, part in BY_DRIVER if fnmatchcase(driver, name)), None)


def _by_vendor(function: PciFunction) -> BoardPart | None:
    return next((row.part for row in _rows(function) if not row.without_bars or function.has_bars is False), None)


def _rows(function: PciFunction) -> Iterator[VendorRow]:
    kind = (function.vendor, subclass(function.class_code))
    for row in BY_VENDOR:
        if (row.vendor, row.subclass) != kind or function.device in row.unless:
            continue
        if not row.devices or any(function.device in span for span in row.devices):
            yield row
