"""Guests to boot: each firmware, and everything that decides where registers go."""

from __future__ import annotations

from typing import NamedTuple

from hostdev.fit.solution import Outcome
from tests.hostdev.fit.guests import (
    AMD,
    DISPLAY,
    GIB,
    INTEL,
    IVSHMEM,
    LARGE,
    MIB,
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

Q35_OF = {"bookworm": "pc-q35-7.2", "trixie": "pc-q35-10.0", "sid": "pc-q35-10.0"}
PC_OF = {"bookworm": "pc-i440fx-7.2", "trixie": "pc-i440fx-10.0", "sid": "pc-i440fx-10.0"}
VIRT_OF = {"bookworm": "virt-7.2", "trixie": "virt-10.0", "sid": "virt-10.0"}
NAMES = {
    ("bookworm", "ovmf"): "ovmf-2022.11",
    ("trixie", "ovmf"): "ovmf-2025.02-8+deb13u1",
    ("sid", "ovmf"): "ovmf-2026.08",
    ("bookworm", "seabios"): "seabios-1.16.2",
    ("trixie", "seabios"): "seabios-1.16.3",
    ("sid", "seabios"): "seabios-1.17.0",
    ("bookworm", "aavmf"): "aavmf-2022.11",
    ("trixie", "aavmf"): "aavmf-2025.02",
    ("sid", "aavmf"): "aavmf-2026.08",
}
"""What a user would call them."""


class Case(NamedTuple):
    """A guest, and the firmware that boots it."""

    name: str
    suite: str
    kind: str
    given: Given
    outcome: Outcome
    """What comes of it, so that no case tests something else than it says."""
    often: bool = False
    """Whether it belongs to those that every run of the tests boots."""

    @property
    def firmware(self) -> str:
        return NAMES[self.suite, self.kind]

    @property
    def id(self) -> str:
        return f"{self.suite}-{self.kind}-{self.name.replace(' ', '-')}"


FITS, MISSING, DEAD, LOST = Outcome.FITS, Outcome.DEVICES_MISSING, Outcome.NO_PCI, Outcome.OUT_OF_REACH
NOT_STARTED = Outcome.NOT_STARTED
SERIAL = "<controller type='virtio-serial' index='0'/>"
RNG = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
OLD = "<rng model='virtio-transitional'><backend model='random'>/dev/urandom</backend></rng>"
VIDEO = "<video><model type='vga' vram='16384'/></video>"
BOCHS = "<video><model type='bochs' vram='65536'/></video>"
MANY = RNG + SERIAL + "<controller type='scsi' index='0' model='virtio-scsi'/>" + VIDEO


def with_io(size: int, count: int) -> list[Slot]:
    return ports(*[Card(TESTDEV, size)] * count)


def on_root(size: int, count: int) -> list[Slot]:
    return [Slot((Card(IVSHMEM, size),), on_root=True)] * count


def on_expanders(size: int, *counts: int) -> list[Slot]:
    return [Slot((Card(IVSHMEM, size),), expander=64 * (n + 1)) for n, count in enumerate(counts) for _ in range(count)]


def window(mib: int) -> tuple[str, ...]:
    return ("-fw_cfg", f"name=opt/ovmf/X-PciMmio64Mb,string={mib}")


def kept(size: str) -> tuple[str, ...]:
    return ("-global", f"pcie-root-port.pref64-reserve={size}")


def _ovmf(suite: str) -> list[Case]:
    cases: list[Case] = []

    def add(name: str, outcome: Outcome, slots: list[Slot], *, often: bool = False, **how: object) -> None:
        how.setdefault("machine", Q35_OF[suite])
        cases.append(Case(name, suite, "ovmf", guest(slots, **how), outcome, often=often))  # type: ignore[arg-type]

    modern = suite != "bookworm"
    add("8 of 16 GiB", FITS, shared(16 * GIB, 8), arguments=AMD, often=suite == "sid")
    add("9 of 16 GiB", MISSING, shared(16 * GIB, 9), arguments=AMD, often=suite == "trixie")
    add("2 of 128 GiB", MISSING, shared(128 * GIB, 2), arguments=AMD)
    add("intel 3 of 16 GiB", MISSING, shared(16 * GIB, 3), arguments=INTEL, often=suite == "trixie")
    add("16 functions of 16 MiB", FITS, [Slot((Card(IVSHMEM, 16 * MIB),) * 8)] * 2, arguments=INTEL, devices=MANY)
    add("on bus 0", DEAD, on_root(16 * GIB, 3), arguments=INTEL)
    add("10 with I/O", MISSING if modern else DEAD, with_io(0, 10), arguments=AMD, often=suite == "trixie")
    add("a rest beside each", MISSING, _with_rests(), arguments=INTEL)
    add("devices beside", FITS, shared(4 * GIB, 2), arguments=INTEL, devices=MANY)
    add("legacy devices beside", FITS, shared(GIB, 2), arguments=INTEL, devices=OLD + BOCHS, often=suite == "trixie")
    add("expanders", FITS, on_expanders(16 * GIB, 2, 2, 2), arguments=AMD, often=suite == "sid")
    if not modern:
        return cases
    add("told", FITS, shared(16 * GIB, 3), arguments=processor(40, "intel", told=40)) if suite == "trixie" else None
    add("46 bits", FITS, shared(256 * GIB, 16), arguments=LARGE)
    add("52 bits", FITS, shared(256 * GIB, 4), arguments=processor(52))
    add("36 bits", FITS, shared(4 * GIB, 4), arguments=processor(36, "intel"))
    add("39 bits", MISSING, shared(32 * GIB, 3), arguments=processor(39, "intel"), often=suite == "sid")
    add("41 bits", FITS, shared(64 * GIB, 3), arguments=processor(41, "intel"))
    add("44 bits", MISSING, shared(256 * GIB, 9), arguments=processor(44))
    add("another maker", MISSING, shared(16 * GIB, 3), arguments=processor(40, "other"))
    add("hotplug off", FITS, shared(64 * GIB, 2, hotplug=False), arguments=AMD)
    add("hotplug off 3", MISSING, shared(64 * GIB, 3, hotplug=False), arguments=AMD)
    add("16 empty ports", MISSING, [*_pairs(), *[Slot()] * 16], arguments=LARGE, often=suite == "sid")
    add("8 empty ports", FITS, [*_pairs(), *[Slot()] * 8], arguments=LARGE)
    add("exact size", MISSING, shared(64 * GIB, 2), arguments=(*AMD, *window(65536)))
    add("a size beyond", LOST, shared(256 * GIB, 1), arguments=(*INTEL, *window(2 << 20)))
    add("no window", FITS, shared(64 * MIB, 2), arguments=(*AMD, *window(0)))
    add("ports keep more", FITS, shared(MIB, 4), arguments=(*AMD, *kept("64G")))
    add("ports keep little", FITS, shared(16 * GIB, 8), arguments=(*AMD, *kept("32M")))
    add("vga", DEAD, [*ports(Card(VGA, 256 * GIB)), *shared(GIB, 1)], arguments=AMD)
    add("display", MISSING, [*ports(Card(DISPLAY, 256 * GIB)), *shared(GIB, 1)], arguments=AMD, devices=RNG)
    add("expanders full", MISSING, on_expanders(16 * GIB, 5, 5), arguments=AMD)
    add("large hole", FITS, shared(16 * GIB, 8), arguments=AMD, hole="<pcihole64 unit='GiB'>512</pcihole64>")
    add("too large a hole", NOT_STARTED, shared(GIB, 1), arguments=AMD, hole="<pcihole64 unit='GiB'>1024</pcihole64>")
    add("512 GiB of memory", FITS, shared(16 * GIB, 4), arguments=AMD, ram=512 * GIB)
    add("900 GiB of memory", MISSING, shared(16 * GIB, 3), arguments=AMD, ram=900 * GIB)
    add("most memory", FITS, shared(16 * GIB, 2), arguments=INTEL, ram=4 * GIB, more=_most(500), often=suite == "sid")
    add("nothing else", DEAD, shared(64 * GIB, 1), arguments=INTEL)
    add("on i440fx", DEAD, on_root(16 * GIB, 3), arguments=INTEL, machine=PC_OF[suite])
    add("fits on i440fx", FITS, on_root(GIB, 3), arguments=INTEL, machine=PC_OF[suite], often=suite == "trixie")
    return cases


def _with_rests() -> list[Slot]:
    return [Slot((Card(TESTDEV, size * GIB), Card(TESTDEV, GIB))) for size in (8, 8, 4)]


def _pairs() -> list[Slot]:
    return [Slot((Card(IVSHMEM, 512 * GIB), Card(IVSHMEM, 2 * MIB)))] * 8


def _most(gibibytes: int) -> str:
    cell = "<cpu><numa><cell id='0' cpus='0' memory='4194304'/></numa></cpu>"
    return f"<maxMemory slots='4' unit='GiB'>{gibibytes}</maxMemory>{cell}"


def _seabios(suite: str) -> list[Case]:
    cases: list[Case] = []

    def add(name: str, outcome: Outcome, slots: list[Slot], *, often: bool = False, **how: object) -> None:
        how = {"machine": Q35_OF[suite], "loader": ""} | how
        cases.append(Case(name, suite, "seabios", guest(slots, **how), outcome, often=often))  # type: ignore[arg-type]

    old = suite == "bookworm"
    add("2 of 16 GiB", FITS, shared(16 * GIB, 2), arguments=AMD, often=suite == "sid")
    add("small ones", FITS, shared(16 * MIB, 4), arguments=AMD, devices=MANY, often=True)
    add("memory above", FITS, shared(GIB, 4), arguments=AMD, ram=8 * GIB, devices=MANY, often=suite == "sid")
    add("46 bits", FITS, [*shared(256 * GIB, 4), *[Slot()] * 4], arguments=LARGE)
    add("with I/O", FITS, with_io(GIB, 14), arguments=AMD, often=suite == "trixie")
    add("15 with I/O", DEAD, with_io(0, 15), arguments=AMD, often=suite == "trixie")
    add("half of the space", FITS if old else LOST, shared(512 * GIB, 1), arguments=AMD)
    add("no limit", LOST, shared(TIB, 2), arguments=INTEL, often=suite == "trixie")
    add("intel with memory above", FITS, shared(GIB, 3), arguments=INTEL, ram=8 * GIB)
    add("on i440fx", FITS, on_root(16 * GIB, 2), arguments=AMD, machine=PC_OF[suite], devices=RNG + VIDEO)
    add("expanders", FITS, on_expanders(4 * GIB, 2, 2), arguments=AMD)
    add("legacy devices beside", FITS, shared(GIB, 2), arguments=AMD, ram=8 * GIB, devices=OLD + VIDEO)
    if suite == "trixie":
        add("large beside memory above", FITS, shared(256 * GIB, 1), arguments=processor(42), ram=8 * GIB)
    if suite == "sid":
        add(
            "no padding",
            FITS,
            shared(16 * GIB, 1),
            arguments=(*AMD, "-fw_cfg", "opt/org.seabios/pci64,string=0"),
            ram=4 * GIB,
        )
    return cases


def _aavmf(suite: str) -> list[Case]:
    cases: list[Case] = []

    def add(name: str, outcome: Outcome, slots: list[Slot], *, often: bool = False, **how: object) -> None:
        how = {"machine": VIRT_OF[suite], "arch": "aarch64", "cpu": "<cpu mode='maximum'/>"} | how
        cases.append(Case(name, suite, "aavmf", guest(slots, **how), outcome, often=often))  # type: ignore[arg-type]

    add("2 of 256 GiB", FITS, shared(256 * GIB, 2), often=suite == "sid")
    add("5 of 128 GiB", MISSING, shared(128 * GIB, 5), often=suite == "trixie")
    add("2 of 512 GiB", MISSING, shared(512 * GIB, 2))
    add("devices beside", FITS, [*shared(GIB, 2), *[Slot()] * 2], devices=RNG + SERIAL)
    add("expanders", FITS, on_expanders(64 * GIB, 2, 2))
    if suite == "trixie":
        add("larger window", FITS, shared(512 * GIB, 4), arguments=("-machine", "highmem-mmio-size=4T"))
    return cases


CASES = [
    *(case for suite in Q35_OF for case in _ovmf(suite)),
    *(case for suite in Q35_OF for case in _seabios(suite)),
    *(case for suite in ("trixie", "sid") for case in _aavmf(suite)),
]
