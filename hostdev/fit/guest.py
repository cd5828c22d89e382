"""What of a domain decides where its firmware puts BARs: machine, memory, firmware's knobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from domxml.commandline import option_values
from domxml.document import Domain, Element
from domxml.guestpci.machines import I440FX, Q35, VIRT, MachineType, machine_type
from domxml.pciaddress import read_number
from hostdev.fit.pcitree import GIB, KIB

_UNITS: Mapping[str, int] = {
    **dict.fromkeys(("", "k", "kib"), KIB),
    **dict.fromkeys(("b", "bytes"), 1),
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", 1)},
    **{unit: 1024**power for power, letter in enumerate("mgtpe", 2) for unit in (letter, f"{letter}ib")},
}
_VERSION = re.compile(r"(?:pc-q35|pc-i440fx|virt)-(\d+)\.(\d+)(.*)")
_RED_HAT = re.compile(r"(?:pc-q35-|pc-i440fx-|virt-)?rhel\d.*")
_MIB_OF_WINDOW = "opt/ovmf/X-PciMmio64Mb"
_PADDING = "opt/org.seabios/pci64"
_TRUTH = {"1": True, "on": True, "yes": True, "0": False, "off": False, "no": False}
_MOST_MIB = 1 << 24
_MOST_SIZE = 1 << 60


class Guest(NamedTuple):
    """The domain, as far as its address space goes."""

    machine: MachineType
    version: tuple[int, int] | None
    """Of the machine type, as upstream counts; None where it is not written."""
    host_bits: bool | None
    """Whether this machine type shows guests the host's physical bits; None where nothing tells."""
    kvm: bool
    ram: int
    slots: int
    most_ram: int
    hole64: int
    window: int | None
    """What `opt/ovmf/X-PciMmio64Mb` asks for, in bytes."""
    padding: bool | None
    """What `opt/org.seabios/pci64` says."""
    globals: Mapping[tuple[str, str], str]
    """`-global driver.property=value` of the command line."""
    high_window: int | None
    """`highmem-mmio-size` of Arm's machine."""

    @property
    def is_old(self) -> bool:
        """A machine type without AMD's hole below 1 TiB."""
        return self.version is not None and self.version < (7, 1)

    @property
    def tells_guest_bits(self) -> bool | None:
        """Whether QEMU passes GuestPhysBits on; None where the machine type does not tell."""
        return None if self.version is None else self.version >= (9, 1)


def read_guest(domain: Domain) -> Guest:
    """Read it from the XML."""
    os_type = domain.os_type
    name = "" if os_type is None else os_type.get("machine", "")
    family = machine_type(domain)
    ram, most, slots = _memory(domain.root)
    settings = _settings(domain)
    return Guest(
        family,
        _version(name),
        _host_bits(name, family),
        domain.root.get("type") == "kvm",
        ram,
        slots,
        most,
        _hole64(domain, family, settings),
        _window(domain),
        _padding(domain),
        settings,
        _high_window(domain),
    )


def size_in_bytes(element: Element | None) -> int:
    """Read an element with a unit; 0 where it holds no number."""
    if element is None:
        return 0
    return _in_bytes((element.text or "").strip(), element.get("unit", ""))


def _in_bytes(text: str | None, unit: str) -> int:
    number = read_number(text, most=_MOST_SIZE)
    return 0 if number is None else min(number * _UNITS.get(unit.lower(), KIB), _MOST_SIZE)


def _version(name: str) -> tuple[int, int] | None:
    found = _VERSION.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def _host_bits(name: str, family: MachineType) -> bool | None:
    if name.endswith("-hpb") or _RED_HAT.fullmatch(name):
        return True
    # A bare `q35` is whatever QEMU makes of it: Red Hat's builds make it one of theirs.
    return None if name in {"q35", "pc", ""} or family is VIRT else False


def _memory(root: Element) -> tuple[int, int, int]:
    """What there is at the start, what may be added to it, and in how many slots."""
    modules = sum(size_in_bytes(one.find("target/size")) for one in root.iterfind("devices/memory"))
    cells = sum(_in_bytes(cell.get("memory"), cell.get("unit", "")) for cell in root.iterfind("cpu/numa/cell"))
    ram = cells or max(size_in_bytes(root.find("memory")) - modules, 0)
    most = root.find("maxMemory")
    slots = 0 if most is None else read_number(most.get("slots")) or 0
    return ram, max(size_in_bytes(most), ram), slots


def _hole64(domain: Domain, family: MachineType, settings: Mapping[tuple[str, str], str]) -> int:
    driver = "q35-pcihost" if family is Q35 else "i440FX-pcihost"
    told = settings.get((driver, "pci-hole64-size"))
    if told is not None:
        return parse_size(told) or 0
    root = domain.devices.find("controller[@type='pci']/pcihole64")
    if root is not None:
        return size_in_bytes(root)
    return 2 * GIB if family is I440FX else 32 * GIB


def parse_size(text: str) -> int | None:
    """Read a size as QEMU's command line has it: bytes, or a letter behind the number."""
    found = re.fullmatch(r"(0x[0-9a-fA-F]+|\d{1,20})([KkMmGgTtPp]?)[Bb]?", text.strip(), re.ASCII)
    if found is None:
        return None
    number = int(found[1], 16 if found[1].startswith("0x") else 10)
    return number * _UNITS.get(found[2].lower() or "b", 1)


def _settings(domain: Domain) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for value in option_values(domain, "-global"):
        name, _, setting = value.partition("=")
        driver, _, name = name.rpartition(".")
        found[driver, name] = setting
    return found


def _fw_cfg(domain: Domain, name: str) -> str | None:
    """A file that the firmware is given by <qemu:commandline> or <sysinfo type='fwcfg'>; None without one."""
    told = None
    for entry in domain.root.iterfind("sysinfo[@type='fwcfg']/entry"):
        if entry.get("name") == name:
            told = (entry.text or "").strip()
    for value in option_values(domain, "-fw_cfg"):
        parts = dict(part.partition("=")[::2] for part in value.split(","))
        first = value.split(",", 1)[0]
        if parts.get("name", first) == name:
            told = str(parts.get("string", ""))
    return told


def _window(domain: Domain) -> int | None:
    text = _fw_cfg(domain, _MIB_OF_WINDOW)
    number = None if text is None else read_number(text)
    return None if number is None or number > _MOST_MIB else number << 20


def _padding(domain: Domain) -> bool | None:
    return _TRUTH.get(_fw_cfg(domain, _PADDING) or "")


def _high_window(domain: Domain) -> int | None:
    told = None
    for value in option_values(domain, "-machine"):
        for part in value.split(","):
            name, _, setting = part.partition("=")
            if name == "highmem-mmio-size":
                told = parse_size(setting)
            elif name == "highmem" and setting in {"off", "no", "false"}:
                told = 0
    return told
