"""What a scan costs: which files it opens, and how often it asks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.machine import NOT_LOOKED_AT, Use
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.layout import lay_out
from tests.hostdev.machines.builder import Builder
from tests.hostdev.machines.fixtures import fixture

AUDIT = """
import os, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args) if event == "open" else None)
from hostdev.inventory.host import Host
from hostdev.inventory.scan import scan
for root in sys.argv[1:]:
    with Host(root) as host:
        del opened[:]
        machine = scan(host)
        scan(host, only=machine.functions)
        names = {str(path).rpartition("/")[2] for path, _, flags in opened}
        assert "uevent" in names or not machine.functions, names
        bad = names & {"config", "rom", "resource", "vpd", "resource0", "reset", "remove", "rescan"}
        assert not bad, bad
        modes = {flags & os.O_ACCMODE for path, _, flags in opened}
        assert modes == {os.O_RDONLY}, modes
"""


def test_config_space_is_never_read_and_nothing_is_opened_for_writing(tmp_path: Path) -> None:
    root = tmp_path / "host"
    lay_out(fixture("two-socket-x710").read_text(), root)
    for device in (root / "sys/bus/pci/devices").iterdir():
        (device / "config").write_bytes(bytes(256))

    path = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", AUDIT, str(root), "/"]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)

    assert done.stderr == ""
    assert done.returncode == 0


class _Counting(Host):
    calls = 0

    def read_bytes(self, path: str, *, whole: bool = False, quiet: bool = False) -> bytes | None:
        self.calls += 1
        return super().read_bytes(path, whole=whole, quiet=quiet)

    def names(self, path: str, *, prefix: str = "") -> list[str] | None:
        self.calls += 1
        return super().names(path, prefix=prefix)

    def link(self, path: str) -> str | None:
        self.calls += 1
        return super().link(path)


@pytest.fixture
def calls(tmp_path: Path) -> Callable[..., int]:
    def count(vfs: int, *only: PciAddress) -> int:
        machine = Builder()
        port = machine.bridge(machine.root("pci0000:3a"), "0000:3a:00.0")
        pf = machine.function(port, "0000:3b:00.0", "8086:1572", 0x020000, driver="i40e")
        machine.vfs(pf, "0000:3b:02.0", "8086:154c", 0x020000, ["vfio-pci"] * vfs)
        root = tmp_path / str(vfs) / str(len(only))
        layout.write(machine.recording(""), root)
        with _Counting(root) as host:
            scan(host, only=only or None)
            return host.calls

    return count


def test_one_more_vf_of_a_kind_costs_one_call(calls: Callable[..., int]) -> None:
    assert calls(40) - calls(20) == 20


def test_a_hook_does_not_ask_what_the_host_does_with_its_devices(tmp_path: Path) -> None:
    lay_out(fixture("two-socket-x710").read_text(), tmp_path / "host")
    with _Counting(tmp_path / "host") as host:
        scan(host)
        whole, host.calls = host.calls, 0
        machine = scan(host, use=False)
    assert host.calls < whole * 0.7
    assert {f.use for f in machine.functions.values() if f.driver == "i40e"} == {NOT_LOOKED_AT}
    free = [f for f in machine.functions.values() if f.vfio_dev or not (f.driver or f.bridge)]
    assert {f.use.value for f in free} == {Use.UNUSED}


def test_one_device_costs_the_same_however_many_there_are(calls: Callable[..., int]) -> None:
    vf = PciAddress.parse("0000:3b:02.7")
    assert calls(40, vf) == calls(20, vf)
