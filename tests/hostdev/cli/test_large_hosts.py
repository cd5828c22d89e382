"""`passgate node list` of the largest real hosts: one screen, and quick."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.hostdev import layout
from tests.hostdev.cli.running import process
from tests.hostdev.commands import MEMORY
from tests.hostdev.machines.realhosts import real_hosts

LARGEST = "udev-DISK_SAMSUNG_KIOXIA"
LINES = 64
"""What a screen of a workstation shows."""


@pytest.fixture
def server() -> Iterator[str]:
    with TemporaryDirectory(dir=MEMORY) as directory:
        layout.write(real_hosts()[LARGEST].recording(grouped=True), Path(directory) / "host")
        yield f"{directory}/host"


def test_559_functions_are_listed_within_a_second(server: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = process("node", "list", "--host", server)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert ran.code == 0
    assert len(ran.out.splitlines()) <= LINES
    assert ran.out.splitlines()[-1] == "not listed: 90 bridges, 429 parts of the board; --all lists them"
    # The processor's time: what else runs on this machine does not count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


@pytest.mark.parametrize("name", [name for name, host in real_hosts().items() if len(host.functions) > LINES])
def test_every_large_host_fits_on_a_screen(name: str) -> None:
    with TemporaryDirectory(dir=MEMORY) as directory:
        layout.write(real_hosts()[name].recording(grouped=True), Path(directory) / "host")
        host = f"{directory}/host"
        ran = process("node", "list", "--host", host)
        every = process("node", "list", "--all", "--host", host)

    assert len(ran.out.splitlines()) <= LINES
    assert len(every.out.splitlines()) == len(real_hosts()[name].functions) + 1
