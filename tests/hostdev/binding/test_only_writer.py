"""One module writes to /sys and calls modprobe, and what only looks writes nothing at all."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostdev.binding.effects import MODPROBE, Step, WriteFailed, perform
from tests.hostdev.cli.running import ROOT, environment
from tests.house import Module, product

EFFECTS = "hostdev.binding.effects"
WRITERS = {
    EFFECTS,
    "hostdev.binding.child",  # its pipes, and /dev/null
    "hostdev.binding.journal",
    "hostdev.binding.lock",
    "hostdev.cli.main",
    "hostdev.cli.manpage",
    "hostdev.cli.node.state",  # the unit, where it is asked to install one
    "hostdev.findings.docs",
    "hostdev.inventory.recorded.layout",  # a recorded machine, in a directory of its own
    "hostdev.lint.upgrade",
    "hostdev.printing.output",
}
"""Modules of hostdev that write files at all."""
STARTERS = {EFFECTS, "hostdev.cli.node.state"}
WRITES = {"write_text", "write_bytes"}
FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"}


def _of_hostdev() -> list[Module]:
    return [module for module in product() if module.within("hostdev")]


def _writes(module: Module) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in FLAGS:
            yield node.attr
        if isinstance(node, ast.Call):
            named = ast.unparse(node.func)
            given = (*node.args, *(word.value for word in node.keywords))
            words = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if named.endswith("open") and any(word.strip("bt+") in {"w", "a", "x"} for word in words):
                yield named
            if named.rpartition(".")[2] in WRITES and not named.startswith("output."):
                yield named


def test_no_other_module_opens_anything_to_write() -> None:
    assert {module.name for module in _of_hostdev() if list(_writes(module))} <= WRITERS


def test_no_other_module_starts_programs() -> None:
    starting = {module.name for module in _of_hostdev() if {"subprocess", "pty"} & set(module.imports)}

    assert starting <= STARTERS


def test_no_other_module_that_starts_programs_knows_modprobe() -> None:
    knowing = [
        module.name
        for module in _of_hostdev()
        for node in ast.walk(ast.parse(module.path.read_text()))
        if module.name in STARTERS and isinstance(node, ast.Constant) and node.value == MODPROBE
    ]

    assert knowing == [EFFECTS]


@pytest.mark.parametrize("path", ["/etc/passwd", "/sys/../etc/passwd", "sys/bus", "/proc/self/comm"])
def test_nothing_but_sys_is_written(path: str) -> None:
    with pytest.raises(WriteFailed, match="not below /sys"):
        perform(Step(path, "x", "", "0000:00:00.0"))


def test_what_is_not_there_is_not_made() -> None:
    with pytest.raises(WriteFailed):
        perform(Step("/sys/bus/pci/devices/ffff:ff:1f.7/driver_override", "vfio-pci", "", "ffff:ff:1f.7"))


HOOK = """
import os, sys
log, *words = sys.argv[1:]
FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
MUTING = ("os.remove", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "subprocess.Popen",
          "os.exec", "os.posix_spawn", "os.system")
def note(what):
    # By a descriptor of its own each time: a child closes those that it was born with.
    os.write(fd := os.open(log, os.O_WRONLY | os.O_APPEND), f"{what}\\n".encode())
    os.close(fd)
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & FLAGS:
        if arguments[0] not in (os.devnull, log):
            note(arguments)
    elif event in MUTING and arguments[0] != "/sbin/ldconfig":  # pyudev looks for libudev by it
        note((event, *arguments))
sys.addaudithook(hook)
sys.dont_write_bytecode = True
from hostdev.cli.main import main
raise SystemExit(main(words))
"""
READING = {
    "list": ("node", "list"),
    "groups": ("node", "groups"),
    "doctor": ("node", "doctor"),
    "show": ("node", "show", "{device}"),
    "a plan to bind": ("node", "bind", "{device}", "--dry-run"),
    "a plan to unbind": ("node", "unbind", "{device}", "--dry-run"),
    "the journal": ("node", "journal", "--state-dir", "/nonexistent/passgate"),
    "recovery without a journal, dry": ("node", "journal", "recover", "--dry-run", "--state-dir", "/nonexistent"),
}


NONE = "0000:00:00.0"


def _device() -> str:
    devices = Path("/sys/bus/pci/devices")
    return min((one.name for one in devices.iterdir()), default=NONE) if devices.exists() else NONE


@pytest.mark.parametrize("what", READING)
def test_what_only_looks_at_this_machine_writes_nothing(what: str, tmp_path: Path) -> None:
    """Nor does a child of it, in which what may hang is asked."""
    log = tmp_path / "writes"
    log.touch()
    words = [word.format(device=_device()) for word in READING[what]]
    command = [sys.executable, "-c", HOOK, str(log), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)

    assert done.returncode in {0, 1, 2, 4, 5}, done.stderr
    assert log.read_text() == ""


def test_the_hook_sees_a_write(tmp_path: Path) -> None:
    log = tmp_path / "writes"
    log.touch()
    command = [sys.executable, "-c", HOOK, str(log), "man", str(tmp_path / "man")]
    subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(), check=True)

    assert "passgate.1" in log.read_text()
