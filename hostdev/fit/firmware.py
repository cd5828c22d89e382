"""Which firmware a guest has, how it is named, and what each release does differently."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from domxml.document import Domain
from domxml.errors import BadInput
from domxml.guestpci.machines import VIRT, machine_type


class FirmwareKind(StrEnum):
    """The families."""

    OVMF = "ovmf"
    SEABIOS = "seabios"
    AAVMF = "aavmf"


class Firmware(NamedTuple):
    """A firmware: its family, and its release as far as it is known."""

    kind: FirmwareKind
    release: tuple[int, ...] = ()
    """2025, 2 of edk2-stable202502; 1, 16, 3 of SeaBIOS; empty: not known."""
    package: str = ""
    """The release as its packager writes it, where there is one."""

    def __str__(self) -> str:
        if not self.release:
            return self.kind
        year_first = self.kind is not FirmwareKind.SEABIOS
        text = f"{self.release[0]}.{self.release[1]:02}" if year_first else ".".join(map(str, self.release))
        return f"{self.kind}-{self.package or text}"


class OvmfRules(NamedTuple):
    """What a release of OVMF does about its windows."""

    since: str
    """The first release of edk2 that does it, or what else tells."""
    dynamic: bool = True
    """A share of the address space instead of 32 GiB above RAM."""
    moves_away: bool = True
    """From what QEMU reserves below 1 TiB."""
    most_bits: int = 46
    guest_bits: bool = True
    exact: bool = True
    """X-PciMmio64Mb is the size, not the least size."""
    share: int = 3
    """The window is 1/2^share of the space."""
    large_pages: bool = True
    """Without pages of 1 GiB, it goes up to 40 bits."""
    low_ecam: bool = False
    """The configuration space is at 0xb0000000, and memory windows lie above it."""
    io_padding: int = 0
    """What each hotplug port keeps of I/O space."""


_QUARTER = OvmfRules("2026.11", share=2)
_EXACT = OvmfRules("2025.05")
_GUEST_BITS = OvmfRules("2024.08", exact=False)
_LIMITED = _GUEST_BITS._replace(since="2023.08", guest_bits=False)
_ECAM = _LIMITED._replace(since="2023.05", most_bits=47, large_pages=False, io_padding=0x1000)
_MOVES = _ECAM._replace(since="2023.02", low_ecam=True)
_DYNAMIC = _MOVES._replace(since="2022.11", moves_away=False)
_CLASSIC = _DYNAMIC._replace(since="", dynamic=False)
OVMF_RELEASES = (
    ((0, 0), _CLASSIC),
    ((2022, 11), _DYNAMIC),
    ((2023, 2), _MOVES),
    ((2023, 5), _ECAM),
    ((2023, 8), _LIMITED),
    ((2024, 8), _GUEST_BITS),
    ((2025, 5), _EXACT),
    ((2026, 11), _QUARTER),
)
"""By the first release that does it."""
_EXACT_PACKAGES = re.compile(r"2025\.02-(?:[89]|\d\d).*")
"""Debian took over the exact size before its release."""

SEABIOS_RELEASES = ((1, 16, 2), (1, 16, 3), (1, 17, 0))
"""Where what it does changes; older ones do what the first does."""

_NAME = re.compile(
    r"(ovmf|edk2|seabios|aavmf)(?:-(?:stable)?(\d{1,4})\.?(\d{1,2})?(?:\.(\d{1,3}))?([-+].*)?)?", re.IGNORECASE
)
_EDK2_VERSION = re.compile(r"(20\d\d)\.(0[1-9]|1[0-2])((?:[-+~][0-9A-Za-z.+~]+)*-\d[0-9A-Za-z.+~]*)?")
_EDK2_STABLE = re.compile(r"edk2-stable(20\d\d)(0[1-9]|1[0-2])")
_SEABIOS_VERSION = re.compile(rb"(?:rel-)?(1\.\d{1,2}\.\d{1,2})(?:-[0-9A-Za-z.+-]{1,40})?\x00")
_LZMA_SECTION = bytes.fromhex("98584eee14395942 9d6edc7bd79403cf")
"""The GUID of a compressed section, as it lies in the image."""
_SECTION_DATA = 20
_MOST_UNPACKED = 64 << 20
_ARM_MARK = "ArmVirtQemu".encode("utf-16-le")


def ovmf_rules(firmware: Firmware, *, sized: bool) -> tuple[tuple[str, OvmfRules], ...]:
    """List what it may do, and how each case is named; `sized`: the domain asks for a size of the window."""
    if not firmware.release:
        names = [f"OVMF {rules.since or 'before 2022.11'}" for _, rules in OVMF_RELEASES]
        return tuple(zip(names, (rules for _, rules in OVMF_RELEASES), strict=True))
    rules = next(rules for since, rules in reversed(OVMF_RELEASES) if firmware.release[:2] >= since)
    if rules.exact or not sized or firmware.release < (2025, 2) or firmware.release >= (2025, 5):
        return ((str(firmware), rules),)
    if _EXACT_PACKAGES.fullmatch(firmware.package):
        return ((str(firmware), rules._replace(exact=True)),)
    return (
        (f"{firmware} takes X-PciMmio64Mb for the least size", rules),
        (f"{firmware} takes X-PciMmio64Mb for the size, as Debian's does", rules._replace(exact=True)),
    )


def seabios_releases(firmware: Firmware) -> tuple[tuple[int, ...], ...]:
    """List the releases that it may be."""
    return (firmware.release,) if firmware.release else SEABIOS_RELEASES


def parse_firmware(text: str) -> Firmware:
    """Read a name such as ovmf-2025.02 or seabios-1.16.3."""
    found = _NAME.fullmatch(text.strip())
    if found is not None:
        kind = FirmwareKind("ovmf" if found[1].lower() == "edk2" else found[1].lower())
        numbers = [int(part) for part in found.group(2, 3, 4) if part is not None]
        package = (text.strip().partition("-")[2]) if found[5] else ""
        if not numbers:
            return Firmware(kind)
        if kind is FirmwareKind.SEABIOS and len(numbers) > 1 and numbers[0] == 1:
            return Firmware(kind, (*numbers, 0)[:3], package)
        if kind is not FirmwareKind.SEABIOS and len(numbers) == 2 and numbers[0] >= 2000 and 1 <= numbers[1] <= 12:
            return Firmware(kind, tuple(numbers), package)
    raise BadInput(
        "bad-firmware",
        f"{text[:60]!r} is no firmware that is known",
        hint="write ovmf-2025.02, seabios-1.16.3, aavmf-2025.02, only the family, or the path of the image",
    )


def firmware_of_image(data: bytes) -> Firmware | None:
    """Tell what an image holds; None where it is neither."""
    if _LZMA_SECTION in data:
        return _edk2_of_image(data)
    if b"SeaBIOS" in data:
        found = _SEABIOS_VERSION.search(data)
        return Firmware(FirmwareKind.SEABIOS, tuple(map(int, found[1].split(b"."))) if found else ())
    return None


def _edk2_of_image(data: bytes) -> Firmware:
    texts = [_unpacked(data[place.start() + _SECTION_DATA :]) for place in re.finditer(re.escape(_LZMA_SECTION), data)]
    wide = [data, *texts]
    kind = FirmwareKind.AAVMF if any(_ARM_MARK in one or b"ArmVirtQemu" in one for one in wide) else FirmwareKind.OVMF
    for unpacked in texts:
        # Text of two bytes a character may begin at an odd place.
        for text in (unpacked.decode("utf-16-le", "replace"), unpacked[1:].decode("utf-16-le", "replace")):
            found = _EDK2_STABLE.search(text) or _EDK2_VERSION.search(text)
            if found is not None:
                return Firmware(kind, (int(found[1]), int(found[2])), found[0] if found.re is _EDK2_VERSION else "")
    return Firmware(kind)


def _unpacked(data: bytes) -> bytes:
    import lzma  # noqa: PLC0415  only an image needs it

    try:
        return lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(data, _MOST_UNPACKED)
    except (lzma.LZMAError, EOFError):
        return b""


def firmware_of_domain(domain: Domain) -> Firmware:
    """Tell the family from <os>; the release, no domain says."""
    if machine_type(domain) is VIRT:
        return Firmware(FirmwareKind.AAVMF)
    loader = domain.root.find("os/loader")
    found = domain.root.find("os")
    chosen = "" if found is None else found.get("firmware", "")
    is_flash = loader is not None and (loader.get("type") == "pflash" or "OVMF" in (loader.text or "").upper())
    return Firmware(FirmwareKind.OVMF if chosen == "efi" or is_flash else FirmwareKind.SEABIOS)
