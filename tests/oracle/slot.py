"""A slot of a root: the state directory of one embedded driver, which takes one process at a time."""

from __future__ import annotations

import fcntl
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
"""
CAPABILITIES = "cache"
"""The one thing worth keeping: probing an emulator takes seconds."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A taken slot; it is free again when everybody who holds `lock` is gone."""

    directory: Path
    inside: str
    """Its path as seen in the root."""
    lock: IO[bytes]

    @classmethod
    def take(cls, root: Path) -> Slot:
        """The first free slot of the root."""
        for number in count():
            directory = root / "slots" / str(number)
            lock = directory.with_suffix(".lock").open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
            else:
                return cls(directory, f"/slots/{number}", lock)
        raise AssertionError("slots are counted without end")

    def clear(self) -> None:
        """Forget all domains: those of a driver that died would be there when the next one starts."""
        self.directory.mkdir(exist_ok=True)
        for entry in self.directory.iterdir():
            if entry.name != CAPABILITIES:
                shutil.rmtree(entry)
        etc = self.directory / "etc"
        etc.mkdir()
        (etc / "qemu.conf").write_text(QEMU_CONF)
