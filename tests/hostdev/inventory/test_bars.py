"""BARs as `resource` tells them: every form of that file, what a scan reads, and what it never opens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.pciaddress import PciAddress
from hostdev.inventory.bars import Bar, BarKind, Bars, bar_text, parse_resource, size_text
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Cpu, Machine
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder
from tests.hostdev.machines.fixtures import fixture
from tests.hostdev.machines.resources import describe_processor

GPU, NIC, OLD = map(PciAddress.parse, ("0000:3b:00.0", "0000:3c:00.0", "0000:3d:00.0"))
FIRST_VF = PciAddress.parse("0000:3c:10.0")
NOTHING = f"0x{0:016x} 0x{0:016x} 0x{0:016x}"


def line(size: int, flags: int, start: int = 0xC000000000) -> str:
    """As the kernel writes a resource."""
    return f"0x{start:016x} 0x{start + size - 1:016x} 0x{flags:016x}"


def file(lines: dict[int, str], count: int = 13) -> str:
    return "".join(f"{lines.get(index, NOTHING)}\n" for index in range(count))


A100 = {0: line(16 << 20, 0x40200), 1: line(64 << 30, 0x14220C), 3: line(32 << 20, 0x14220C)}
A100_BARS = (
    Bar(0, BarKind.MEM32, 16 << 20),
    Bar(1, BarKind.PREF64, 64 << 30),
    Bar(3, BarKind.PREF64, 32 << 20),
)


@pytest.mark.parametrize("count", [7, 13])
def test_the_bars_of_a_card_with_and_without_sriov_in_the_kernel(count: int) -> None:
    rom = {6: line(512 << 10, 0x46200)}

    assert parse_resource(file(A100 | rom, count)) == Bars(A100_BARS, 512 << 10)


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (0x40101, BarKind.IO),
        (0x40200, BarKind.MEM32),
        (0x42208, BarKind.PREF32),
        (0x140204, BarKind.MEM64),
        (0x14220C, BarKind.PREF64),
    ],
)
def test_the_kind_of_a_bar(flags: int, kind: BarKind) -> None:
    bars = parse_resource(file({2: line(256, flags)}))
    assert bars is not None
    assert bars.own == (Bar(2, kind, 256),)


@pytest.mark.parametrize("flag", [0x20000000, 0x10000000])
def test_a_bar_without_an_address_on_the_host_has_its_size_all_the_same(flag: int) -> None:
    bars = parse_resource(file({0: line(1 << 38, 0x14220C | flag, start=0), 2: line(4096, 0x40200)}))

    assert bars == Bars((Bar(0, BarKind.PREF64, 1 << 38), Bar(2, BarKind.MEM32, 4096)), unplaced=(0,))


def test_what_is_kept_of_a_bar_that_is_gone_is_no_bar() -> None:
    gone = f"0x{0:016x} 0x{0:016x} 0x{0x40200:016x}"
    empty = f"0x{0:016x} 0x{(1 << 64) - 1:016x} 0x{0x40200:016x}"

    assert parse_resource(file({0: gone, 1: empty, 2: line(4096, 0)})) == Bars()


def test_the_windows_of_a_bridge_are_no_bars_of_vfs() -> None:
    windows = {index: line(1 << 20, 0x200) for index in range(13, 17)}
    short = {index: line(1 << 20, 0x200) for index in range(7, 11)}

    assert parse_resource(file(windows, 17), bridge=True) == Bars()
    assert parse_resource(file(short, 11), bridge=True) == Bars()
    assert parse_resource(file({7: line(1 << 20, 0x200)}, 17), bridge=True, total_vfs=8) == Bars()


@pytest.mark.parametrize(
    ("total", "size", "each"),
    [
        (16, 16 * (32 << 10), 32 << 10),
        (63, 64 * (16 << 10), 16 << 10),  # ixgbe lets the hardware have one VF less than it could
        (7, 8 * (16 << 10), 16 << 10),  # igb
        (1, 1 << 20, 1 << 20),
        (1, 8 << 20, 8 << 20),
    ],
)
def test_a_vf_has_its_share_of_what_the_pf_keeps(total: int, size: int, each: int) -> None:
    bars = parse_resource(file({7: line(size, 0x14220C), 10: line(size, 0x14220C)}), total_vfs=total)
    assert bars is not None
    assert bars.vfs == (Bar(0, BarKind.PREF64, each), Bar(3, BarKind.PREF64, each))
    assert bars.own == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        file(A100, 6),
        "no numbers at all\n" * 7,
        "0x0 0x0\n" * 7,
        "0x0 0x0 0x0 0x0\n" * 7,
        file({0: f"0x{2:x} 0x{1 << 64:x} 0x200"}),
        file({0: "-0x2 0x7 0x200"}),
        file({0: "0x4000 0x2000 0x40200"}),
    ],
)
def test_what_is_no_such_file_tells_nothing(text: str) -> None:
    assert parse_resource(text) is None


@given(st.text(max_size=300) | st.lists(st.tuples(*[st.integers(-1, 1 << 65)] * 3), min_size=7, max_size=18))
def test_no_text_is_too_strange(given: str | list[tuple[int, int, int]]) -> None:
    text = given if isinstance(given, str) else "".join(f"{a:#x} {b:#x} {c:#x}\n" for a, b, c in given)
    bars = parse_resource(text, total_vfs=3)
    assert bars is None or all(0 < bar.size < 1 << 64 and 0 <= bar.index < 6 for bar in (*bars.own, *bars.vfs))


def test_sizes_and_bars_as_people_read_them() -> None:
    assert [size_text(n) for n in (0, 32, 4096, 9 << 30, 5 << 38, 1536)] == [
        *("0 B", "32 B", "4 KiB", "9 GiB", "1.25 TiB", "1.5 KiB")
    ]
    assert bar_text(A100_BARS[1]) == "1: 64 GiB, 64 bit prefetchable"


def _host(tmp_path: Path) -> Path:
    built = Builder()
    root = built.root("pci0000:3a")
    gpu = built.function(root, str(GPU), "10de:20f1", 0x030200, driver="vfio-pci")
    built.bars(gpu, "0: 16M mem32", "1: 64G pref64", "3: 32M pref64", rom=512 << 10, resizable=[1])
    nic = built.function(root, str(NIC), "8086:10c9", 0x020000, driver="igb")
    built.bars(nic, "0: 128K mem32", "2: 32 io", vfs=["0: 128K pref64", "3: 128K pref64"])
    for vf in built.vfs(nic, str(FIRST_VF), "8086:10ca", 0x020000, ["vfio-pci"] * 3, total=7):
        built.bars(vf, "0: 16K pref64", "3: 16K pref64")
    built.function(root, str(OLD), "8086:1533", 0x020000)
    describe_processor(built.entries, "GenuineIntel", 46, iommu="8d2078c106f0466")
    layout.write(built.recording(""), tmp_path / "host")
    return tmp_path / "host"


def _seen(machine: Machine) -> None:
    functions = machine.functions
    assert functions[GPU].bars == Bars(A100_BARS, 512 << 10, resizable=(1,))
    of_vf = (Bar(0, BarKind.PREF64, 16 << 10), Bar(3, BarKind.PREF64, 16 << 10))
    nic = functions[NIC].bars
    assert nic is not None
    assert nic.vfs == of_vf
    assert {functions[vf].bars for vf in functions[NIC].virtfns} == {Bars(of_vf)}
    assert functions[OLD].bars is None
    assert machine.cpu == Cpu("GenuineIntel", 46)
    assert machine.iommu.address_bits == 48


def test_a_scan_that_is_asked_sees_them_and_no_other(tmp_path: Path) -> None:
    with Host(_host(tmp_path)) as host:
        _seen(scan(host, bars=True))
        _seen(scan(host, only=scan(host).functions, bars=True))
        plain = scan(host)
        assert host.unread == ()
    assert {function.bars for function in plain.functions.values()} == {None}
    assert (plain.cpu, plain.iommu.address_bits) == (Cpu(), None)


def test_a_recording_holds_them(tmp_path: Path) -> None:
    with Host(_host(tmp_path)) as host:
        text = snapshot(host)
    recording = layout.lay_out(text, tmp_path / "again")
    with Host(tmp_path / "again", unreadable=recording.unreadable) as host:
        _seen(scan(host, bars=True))


def test_what_an_older_recording_does_not_hold_is_unknown(tmp_path: Path) -> None:
    layout.lay_out(fixture("two-socket-x710").read_text(), tmp_path / "host")
    with Host(tmp_path / "host") as host:
        machine = scan(host, bars=True)
        assert host.unread == ()
    assert {function.bars for function in machine.functions.values()} == {None}


AUDIT = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from hostdev.inventory.host import Host
from hostdev.inventory.scan import scan
for root in sys.argv[1:]:
    with Host(root) as host:
        machine = scan(host, bars=True)
        scan(host, only=machine.functions, bars=True)
names = {path.rpartition("/")[2] for path in opened}
assert "resource" in names, names
bad = {name for name in names if name.startswith("resource") and name != "resource"} | names & {"config", "rom", "vpd"}
assert not bad, bad
"""


def test_no_register_is_read_and_no_device_woken(tmp_path: Path) -> None:
    """The kernel wakes a device for who reads `resourceN_resize` or `config`."""
    root = _host(tmp_path)
    for device in (root / "sys/bus/pci/devices").iterdir():
        (device / "config").write_bytes(bytes(256))

    command = [sys.executable, "-c", AUDIT, str(root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    assert (done.stderr, done.returncode) == ("", 0)
