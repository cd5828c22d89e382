"""`passgate node vitals`: what it prints, how it ends, and that it touches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from domxml.pciaddress import PciAddress
from hostdev.inventory.recorded import toml
from hostdev.vitals.signs import Verdict
from hostdev.vitals.verdict import judge
from tests.hostdev import layout
from tests.hostdev.cli.running import ROOT, Ran, environment
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.vitals.hosts import ARRIVED, FAULTY, FILE, IDLE, LOST, MDEV, QUIET, YOUNG, vms
from tests.hostdev.vitals.looking import signs_in
from tests.patience import SOON

VMS = str(FILE.relative_to(ROOT))


def vitals(cli: Callable[..., Ran], *words: str, host: str = VMS) -> Ran:
    return cli("node", "vitals", *words, "--host", host)


def test_the_recording_is_the_one_that_is_built() -> None:
    """`python -m tests.hostdev.vitals.hosts` writes it again."""
    assert FILE.read_text() == toml.write(vms().recording("Two VMs; made by hand, no real host"))


def test_all_that_vms_hold(cli: Callable[..., Ran]) -> None:
    ran = vitals(cli, "-o", "csv", "--columns", "device,verdict,vm,pid")

    assert ran.code == ExitCode.FINDINGS
    assert ran.out.splitlines()[1:] == [
        f"{ARRIVED},arrived,web,4242",
        f"{YOUNG},not yet,render,4300",
        f"{QUIET},no sign,web,4242",
        f"{FAULTY},trouble,web,4242",
        f"{LOST},trouble,render,4300",
    ]


@pytest.mark.parametrize(
    ("device", "code"),
    [(ARRIVED, ExitCode.DONE), (YOUNG, ExitCode.DONE), (QUIET, ExitCode.DONE), (IDLE, ExitCode.DONE), (LOST, 1)],
)
def test_how_it_ends(device: str, code: int, cli: Callable[..., Ran]) -> None:
    assert vitals(cli, device).code == code


def test_the_document(cli: Callable[..., Ran]) -> None:
    ran = vitals(cli, ARRIVED, FAULTY, "-o", "json")
    document = json.loads(ran.out)
    arrived, faulty = document["items"]

    assert list(errors(document, schema("vitals.json"))) == []
    assert (document["kind"], arrived["verdict"], arrived["held"]["vm"]) == ("Vitals", "arrived", "web")
    assert (arrived["interrupts"], arrived["powerState"], arrived["enable"]) == ({"msix": 3}, "D0", 1)
    assert [found["code"] for found in faulty["findings"]] == ["dma-fault"]
    assert list(errors({**document, "items": [{**arrived, "verdict": "fine"}]}, schema("vitals.json")))


def test_mediated_devices(cli: Callable[..., Ran], tmp_path: Path) -> None:
    host = vms()
    parent = host.builder.function(
        host.builder.root("pci0000:a0"), "0000:a0:01.0", "10de:2235", 0x030200, driver="nvidia"
    )
    host.builder.mdev_type(parent, "nvidia-105", "GRID", 1)
    host.builder.mdev(parent, MDEV, "nvidia-105")
    layout.write(host.recording(), tmp_path / "host")
    root = str(tmp_path / "host")

    assert vitals(cli, MDEV, "-o", "csv", "--columns", "device,verdict", host=root).out.endswith(f"{MDEV},not held\n")
    fd = tmp_path / "host/proc/4242/fd"
    (group,) = (tmp_path / f"host/{parent.path}/{MDEV}/iommu_group").resolve().parts[-1:]
    (fd / "7").symlink_to(f"/dev/vfio/{group}")
    held = vitals(cli, MDEV.upper(), "-o", "csv", "--columns", "device,verdict,vm", host=root)
    assert held.out.endswith(f"{MDEV},no sign,web\n")


def test_where_no_vm_is(cli: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()

    assert vitals(cli, host=str(tmp_path)) == Ran(0, "no VM is seen to hold a device\n", "")


def test_without_processes_nothing_is_called_free(cli: Callable[..., Ran]) -> None:
    """A recorded machine has none, and older ones do not tell what is enabled."""
    ran = cli("node", "vitals", "3b:02.1", "--host", "tests/fixtures/machines/two-socket-x710.toml")

    assert ran.code in {ExitCode.DONE, ExitCode.HOST_UNREADABLE}
    assert "unknown" in ran.out or "not held" in ran.out


@pytest.mark.parametrize(
    "words", [("--ask-qemu",), ("--timeout", "3"), ("no-such-thing",), ("--columns", "nonsense"), ("-o", "svg")]
)
def test_wrong_words(words: tuple[str, ...], cli: Callable[..., Ran]) -> None:
    ran = vitals(cli, *words)

    assert (ran.code, ran.out if "-o" not in words else "") == (ExitCode.USAGE, "")
    assert ran.err.startswith("error: ")


def test_watching_ends_when_all_have_arrived(cli: Callable[..., Ran]) -> None:
    ran = vitals(cli, ARRIVED, "--watch")

    assert ran.code == 0
    assert ran.out.count("\n") == 1
    assert "arrived" in ran.out


def test_watching_tells_trouble_after_a_second_look(cli: Callable[..., Ran]) -> None:
    ran = vitals(cli, FAULTY, "--watch", "--timeout", "20", "-o", "json")

    assert ran.code == ExitCode.FINDINGS
    assert [json.loads(line)["verdict"] for line in ran.out.splitlines()] == ["trouble"]


def test_watching_ends_with_its_time(cli: Callable[..., Ran]) -> None:
    """What waits for an arrival must not take this for one."""
    ran = vitals(cli, YOUNG, "--watch", "--timeout", "0.5")

    assert ran.code == ExitCode.FINDINGS
    assert "not yet" in ran.out


AUDIT = """
import os, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args) if event == "open" else None)
from hostdev.cli.main import main
code = main(sys.argv[1:])
names = {str(path).rpartition("/")[2] for path, _, _ in opened}
asks = {"config", "rom", "vpd", "resource0", "reset", "remove", "rescan", "current_link_speed", "current_link_width",
        "sriov_numvfs", "control", "bind", "unbind", "driver_override_"}
assert {"power_state", "enable", "interrupts"} <= names, names
assert not names & asks, names & asks
writes = [path for path, _, flags in opened if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)]
assert not [path for path in writes if "sys/" in str(path) or "proc/" in str(path)], writes
print("audited", file=sys.stderr)
"""


def test_no_file_that_reaches_the_device_is_opened(tmp_path: Path) -> None:
    root = tmp_path / "host"
    layout.write(vms().recording(), root)
    for device in (root / "sys/bus/pci/devices").iterdir():
        for name in ("config", "vpd", "resource0", "current_link_speed", "sriov_numvfs"):
            (device / name).write_bytes(b"1\n")
    command = [sys.executable, "-c", AUDIT, "node", "vitals", "-o", "wide", "--host", str(root)]
    # Of a copied host the count of VFs is read from its file; of a live one never.
    command[2] = AUDIT.replace('"sriov_numvfs", ', "")

    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60)

    assert "audited" in done.stderr, done.stderr


def test_on_this_machine_no_such_file_is_opened() -> None:
    """The look is in a child there, and the hook goes with it: it ends the child, which is then told."""
    code = AUDIT.replace('assert {"power_state", "enable", "interrupts"} <= names, names\n', "")
    ends = 'args) or (str(args[0]).startswith("sys/") and str(args[0]).endswith("/config") and os._exit(77))'
    command = [sys.executable, "-c", code.replace("args) if event", f"{ends} if event"), "node", "vitals"]

    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60)

    assert "audited" in done.stderr, done.stderr


def _sign_files(root: Path) -> list[Path]:
    place = (root / f"sys/bus/pci/devices/{QUIET}").resolve()
    pid = root / "proc/4242"
    files = [*place.rglob("*"), pid / "cmdline", pid / "stat", pid / "status", pid / "cgroup", pid / "comm"]
    files += [root / "proc/interrupts", root / "proc/uptime", root / "dev/kmsg"]
    return [file for file in files if file.is_file() and not file.is_symlink()]


@pytest.mark.parametrize("written", [False, True], ids=["nobody writes", "a writer that says nothing"])
def test_a_fifo_in_place_of_a_file_stops_nothing(written: bool, tmp_path: Path) -> None:  # noqa: FBT001
    root = tmp_path / "host"
    layout.write(vms().recording(), root)
    files = _sign_files(root)
    assert {"enable", "power_state", "interrupts", "kmsg", "stat"} <= {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        file.unlink()
        os.mkfifo(file)
        writer = os.open(file, os.O_RDWR | os.O_NONBLOCK) if written else -1
        begun = time.monotonic()
        try:
            vital = judge(signs_in(root, PciAddress.parse(QUIET)))
        finally:
            if writer >= 0:
                os.close(writer)
            file.unlink()
            file.write_bytes(content)
        assert time.monotonic() - begun < SOON, file
        assert vital.verdict is not Verdict.TROUBLE, file
        if file.name in {"interrupts", "enable", "stat"}:
            assert vital.verdict is not Verdict.ARRIVED
