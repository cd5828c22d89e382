"""One module writes to /sys and calls modprobe, and nothing else starts programs or opens files to write.

That commands which only look change nothing is asked of an audit hook in tests/hostdev/cli/test_reading.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from hostdev.binding.effects import MODPROBE, Step, WriteFailed, perform
from tests.house import Module, product

EFFECTS = "hostdev.binding.effects"
WRITERS = {
    EFFECTS,
    "hostdev.binding.child",  # its pipes, and /dev/null
    "hostdev.binding.journal",
    "hostdev.binding.lock",
    "hostdev.cli.dumpfiles",  # what a user collects of a VM, in a directory of its own
    "hostdev.cli.fleet.survey",  # snapshots and the page that are asked for
    "hostdev.cli.main",
    "hostdev.cli.manpage",
    "hostdev.cli.node.install",  # the unit, where it is asked to install one
    "hostdev.cli.page.page",  # the page that is asked for, where a pipe is named
    "hostdev.findings.docs",
    "hostdev.fleet.snapshots",  # its pipes
    "hostdev.lint.upgrade",
    "hostdev.printing.output",
}
"""Modules of hostdev that write files at all."""
STARTERS = {EFFECTS, "hostdev.cli.node.install", "hostdev.cli.programs"}
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
