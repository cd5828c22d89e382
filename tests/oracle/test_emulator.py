"""What is said of QEMU, asked of the QEMUs of the roots: what it refuses, and what a guest never sees."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from domxml.guestfindings import RAMFB_NEEDS_DISPLAY, TEAMING_NEEDS_OWN_SLOT
from tests.oracle.emulator import STAND_IN, Emulator
from tests.oracle.roots import Root

pytestmark = pytest.mark.oracle

PORTS = ("pcie-root-port,id=p1,chassis=1", "pcie-root-port,id=p2,chassis=2", "pcie-pci-bridge,id=b1,bus=p2")
TEAM = f"{STAND_IN},failover_pair_id=net0"


@pytest.fixture(scope="module")
def emulator(root: Root) -> Iterator[Emulator]:
    with Emulator(root) as opened:
        yield opened


@pytest.mark.parametrize(
    ("architecture", "machine", "devices", "says"),
    [
        ("x86_64", "q35", (*PORTS, f"{TEAM},bus=p1"), ""),
        ("x86_64", "q35", (*PORTS, f"{TEAM},bus=b1"), TEAMING_NEEDS_OWN_SLOT.says[0]),
        (
            "x86_64",
            "q35",
            (f"{STAND_IN},addr=5.0,multifunction=on", f"{TEAM},addr=5.1"),
            TEAMING_NEEDS_OWN_SLOT.says[1],
        ),
        ("x86_64", "pc", (TEAM,), TEAMING_NEEDS_OWN_SLOT.says[0]),
        ("aarch64", "virt", (*PORTS, f"{TEAM},bus=p1"), ""),
        ("s390x", "s390-ccw-virtio", (TEAM,), TEAMING_NEEDS_OWN_SLOT.says[0]),
    ],
)
def test_where_a_vf_can_stand_in(
    emulator: Emulator, architecture: str, machine: str, devices: tuple[str, ...], says: str
) -> None:
    words = [word for device in devices for word in ("-device", device.replace(STAND_IN, f"{STAND_IN},romfile="))]
    status, errors = emulator.run(f"/usr/bin/qemu-system-{architecture}", "-machine", machine, *words)

    assert says in errors
    assert (status != 0) == bool(says), errors


def test_qemu_has_the_words_of_a_boot_display_without_a_display(root: Root) -> None:
    """It says them once it has opened the device: tests/vmhost has one."""
    program = root.path / "usr/bin/qemu-system-x86_64"
    assert RAMFB_NEEDS_DISPLAY.says[0].encode() in program.read_bytes()


class Index(NamedTuple):
    """Where a device with an ACPI index sits, and from which QEMU on the guest's tables tell it."""

    architecture: str
    machine: str
    behind_port: bool
    since: float = float("inf")


INDEXES = (
    # On x86 a port's devices are told when the guest asks, not by a table: nothing is claimed of those.
    Index("x86_64", "q35", behind_port=False, since=10),
    Index("x86_64", "q35,acpi=off", behind_port=False),
    Index("x86_64", "q35,acpi=off", behind_port=True),
    Index("x86_64", "pc,acpi=off", behind_port=False),
    Index("aarch64", "virt,acpi=on", behind_port=False, since=11),
    Index("aarch64", "virt,acpi=on", behind_port=True),
    Index("aarch64", "virt,acpi=off", behind_port=True),
)


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_whether_the_guest_is_told_an_acpi_index(root: Root, index: Index) -> None:
    first, second = (_tables(root.path, index, number) for number in (4711, 4712))

    assert bool(first) == ("acpi=off" not in index.machine)
    assert (first != second) == (_release(root.path) >= index.since)


def _release(root: Path) -> int:
    command = ["chroot", str(root), "/usr/bin/qemu-system-x86_64", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(said.split("version ")[1].split(".")[0])


def _tables(root: Path, index: Index, number: int) -> bytes:
    ports = ("-device", "pcie-root-port,id=p1,chassis=1") if index.behind_port else ()
    device = f"virtio-rng-pci,acpi-index={number}" + (",bus=p1" if index.behind_port else "")
    with _firmware(root, index.architecture, "-machine", index.machine, *ports, "-device", device) as firmware:
        return firmware.file("etc/acpi/tables")


class Firmware:
    """Reads QEMU's fw_cfg as the guest's firmware would, over the protocol of QEMU's own tests."""

    _DIRECTORY, _SELECT, _READ = 0x19 << 16, 8, 2

    def __init__(self, process: subprocess.Popen[str], *, arm: bool) -> None:
        self._process = process
        self._arm = arm
        self._memory = 0x41000000 if arm else 0x1000000

    def file(self, name: str) -> bytes:
        (count,) = struct.unpack(">I", self._read(self._DIRECTORY, 4))
        listing = self._read(self._DIRECTORY, 4 + 64 * count)
        for size, key, _, label in struct.iter_unpack(">IHH56s", listing[4:]):
            if label.rstrip(b"\0").decode() == name:
                return self._read(key << 16, size)
        return b""

    def _read(self, key: int, length: int) -> bytes:
        buffer = self._memory + 0x1000
        access = struct.pack(">IIQ", key | self._SELECT | self._READ, length, buffer)
        self._say(f"write {self._memory:#x} 16 0x{access.hex()}")
        if self._arm:
            self._say(f"write 0x9020010 8 0x{struct.pack('>Q', self._memory).hex()}")
        else:
            self._say("outl 0x514 0")
            self._say(f"outl 0x518 {int.from_bytes(self._memory.to_bytes(4, 'big'), 'little'):#x}")
        return bytes.fromhex(self._say(f"read {buffer:#x} {length}").removeprefix("0x"))

    def _say(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        while not (answer := self._process.stdout.readline()).startswith("OK"):
            assert answer, "QEMU ended"
        return answer.removeprefix("OK").strip()


@contextmanager
def _firmware(root: Path, architecture: str, *words: str) -> Iterator[Firmware]:
    program = ["chroot", str(root), f"/usr/bin/qemu-system-{architecture}", "-nodefaults", "-display", "none", "-S"]
    command = [*program, "-m", "128", "-qtest", "stdio", "-qtest-log", "none", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield Firmware(process, arm=architecture == "aarch64")
        finally:
            process.kill()
