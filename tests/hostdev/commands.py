"""Every command that is printed on a machine: `python -m tests.hostdev.commands` lists those of all machines there are.

The list is there to be read with one question: what would it take from this host?
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from hostdev.gate.check import HOST_RULES, verdict_of
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.pciclasses import board_part
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.fixtures import NAMES, picture
from tests.hostdev.machines.realhosts import real_hosts

TAKES = re.compile(r"passgate node bind [0-9a-f]{4}")
"""What takes a device from its driver."""
SHELL = re.compile(r"(?:^|[;(:] ?)(?:modprobe|echo|cd|passgate node bind [0-9a-f]{4})")
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  directories of our own in it
"""Thousands of small files take ten times as long on a disk."""
ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@cache
def real_picture(name: str, *, grouped: bool = False, quiet: bool = False) -> Machine:
    """A real host as a scan sees it; `grouped` with an IOMMU, `quiet` where nothing is in use."""
    with TemporaryDirectory(prefix="passgate-", dir=MEMORY) as directory:
        layout.write(real_hosts()[name].recording(grouped=grouped, quiet=quiet), Path(directory))
        with Host(directory, source=name) as host:
            return scan(host)


def findings(machine: Machine) -> Iterator[Finding]:
    """All that any command would say of the machine and of each of its functions."""
    for rule in HOST_RULES:
        yield from rule.find(machine)
    for address in machine.functions:
        yield from verdict_of(machine, address).findings


def commands(machine: Machine) -> dict[str, tuple[PciAddress, ...]]:
    """The commands that are printed on a machine, and the functions that each takes from its driver."""
    hints = dict.fromkeys(finding.hint for finding in findings(machine) if SHELL.search(finding.hint))
    return {hint: tuple(map(PciAddress.parse, ADDRESS.findall(hint))) if TAKES.search(hint) else () for hint in hints}


def pictures() -> Mapping[str, Machine]:
    """Every machine of the tests: recorded; real as told, with IOMMU groups, and with nothing in use."""
    return {
        **{name: picture(name) for name in NAMES},
        **{name: real_picture(name) for name in sorted(real_hosts())},
        **{f"{name}, grouped": real_picture(name, grouped=True) for name in sorted(real_hosts())},
        **{f"{name}, quiet": real_picture(name, grouped=True, quiet=True) for name in sorted(real_hosts())},
    }


def _print() -> None:
    total = [0, 0, 0]
    for name, machine in pictures().items():
        found = commands(machine)
        parts = sum(board_part(function) is not None for function in machine.functions.values())
        taking = {command: taken for command, taken in found.items() if taken}
        total = [total[0] + len(found), total[1] + len(taking), total[2] + parts]
        print(f"{name}: {len(machine.functions)} functions, {parts} parts of the board, {len(found)} commands")
        for command, taken in found.items():
            print(f"  {command}")
            for address in taken:
                f = machine.functions[address]
                below = " ".join([*(net.name for net in f.netdevs), *(block.name for block in f.blocks)])
                print(f"    {address} {f.class_code:06x} {f.vendor:04x}:{f.device:04x} {f.driver} {below}")
    print(f"in all {total[0]} commands, {total[1]} of them take a device from a driver; {total[2]} parts of the board")


if __name__ == "__main__":
    _print()
