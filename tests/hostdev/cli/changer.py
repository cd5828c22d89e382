"""`passgate node bind`, `journal` in a process of its own, on the driver core in memory: for signals and terminals.

    python -m tests.hostdev.cli.changer DIRECTORY HANG BOOT WORD…

Every write of WORD… is made by a child as on a real kernel, which leaves a file in DIRECTORY when it is at it, waits
until that file is gone, and for ever at the write whose number HANG is. BOOT is the ID of the boot.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

from hostdev.binding.carry import Means
from hostdev.binding.child import Answer, Writer, in_child
from hostdev.cli import changes
from hostdev.cli.main import main
from hostdev.cli.node import journal
from tests.hostdev.binding import hosts
from tests.hostdev.binding.drivercore import DriverCore
from tests.hostdev.machines.fixtures import picture
from tests.patience import PATIENCE


@dataclass
class Paced(DriverCore):
    """A driver core whose writes take as long as a file is there."""

    directory: Path = Path()
    hang: int = -1
    made: list[int] = field(default_factory=list)

    def attempt(self, work: Callable[[], Answer], deadline: float, begun: Callable[[Writer], None]) -> Answer | None:
        number = len(self.made)
        self.made.append(number)
        marker = self.directory / f"write-{number}"

        def wait() -> Answer:
            marker.touch()
            until = time.monotonic() + PATIENCE
            while number == self.hang or (marker.exists() and time.monotonic() < until):
                time.sleep(0.02)
            return Answer(wrote=True)

        return None if in_child(wait, deadline, begun) is None else work()


def run(directory: Path, hang: int, boot: str, words: list[str]) -> int:
    machine = picture("hgx-h100")
    machine = replace(machine, kernel=replace(machine.kernel, boot_id=boot))
    core = Paced(machine, directory=directory, hang=hang)
    core.registered.add("vfio-pci")

    def means(arguments: argparse.Namespace, stop: Callable[[], bool] = lambda: False) -> Means:
        made = hosts.means(core, Path(arguments.state_dir))
        return made._replace(stop=stop, deadline=arguments.deadline)

    with (
        patch.object(changes, "means_of", autospec=True, side_effect=means),
        patch.object(changes, "machine_of", autospec=True, return_value=machine),
        patch.object(journal, "Kernel", autospec=True, return_value=core),
    ):
        return int(main(words))


if __name__ == "__main__":
    if os.isatty(0):
        # ^C at it is a signal to us.
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    where, hang_at, boot_id, *rest = sys.argv[1:]
    raise SystemExit(run(Path(where), int(hang_at), boot_id, rest))
