"""A control group with the limits that KubeVirt gives to a sidecar of a VM with dedicated processors: 200m and 64M."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

MEMORY = 64_000_000
PERIOD = 100_000
QUOTA = 20_000
TRIES = 50


class Unavailable(Exception):
    """No control group can be made here; the text says why."""


class Limited:
    """Directories, one a hierarchy: version 2 has one for all controllers, version 1 one for each."""

    def __init__(self, directories: Mapping[str, Path]) -> None:
        self._directories = directories

    def entering(self) -> list[str]:
        """What to put before a command that is to run inside."""
        files = [str(directory / "cgroup.procs") for directory in dict.fromkeys(self._directories.values())]
        script = (
            'count=$1; shift; while [ $count -gt 0 ]; do echo $$ > "$1"; shift; count=$((count - 1)); done; exec "$@"'
        )
        return ["sh", "-ec", script, "enter", str(len(files)), *files]

    def peak(self) -> int:
        """The most bytes that were charged so far, pages of files included."""
        return int(self._read("memory.peak", "memory.max_usage_in_bytes"))

    def killed(self) -> int:
        """How many processes the kernel ended for want of memory."""
        text = self._read("memory.events", "memory.oom_control")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))

    def throttled(self) -> int:
        """In how many periods there was no processor left."""
        text = (self._directories["cpu"] / "cpu.stat").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("nr_throttled "))

    def _read(self, *names: str) -> str:
        directory = self._directories["memory"]
        return next((directory / name).read_text() for name in names if (directory / name).exists())


@contextmanager
def limited() -> Iterator[Limited]:
    """A group of our own below that of this process, or below one that holds it; gone afterwards."""
    directories = _version_2() if Path("/sys/fs/cgroup/cgroup.controllers").exists() else _version_1()
    try:
        yield Limited(directories)
    finally:
        for directory in dict.fromkeys(directories.values()):
            _remove(directory)


def _version_2() -> dict[str, Path]:
    group = _made("", Path("/sys/fs/cgroup"), {"memory.max": f"{MEMORY}", "cpu.max": f"{QUOTA} {PERIOD}"})
    return {"memory": group, "cpu": group}


def _version_1() -> dict[str, Path]:
    base = Path("/sys/fs/cgroup")
    cpu = {"cpu.cfs_period_us": f"{PERIOD}", "cpu.cfs_quota_us": f"{QUOTA}"}
    memory = _made("memory", base / "memory", {"memory.limit_in_bytes": f"{MEMORY}"})
    try:
        return {"memory": memory, "cpu": _made("cpu", base / "cpu", cpu)}
    except Unavailable:
        _remove(memory)
        raise


def _made(controller: str, top: Path, limits: Mapping[str, str]) -> Path:
    """The first place, from our own group upwards, where a group with these limits can be made."""
    here = top / _own(controller).lstrip("/")
    reasons = []
    for parent in (here, *here.parents):
        if not parent.is_relative_to(top):
            break
        group = parent / f"passgate-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError as error:
            reasons.append(str(error))
            continue
        try:
            for name, value in limits.items():
                (group / name).write_text(value)
        except OSError as error:
            reasons.append(str(error))
            group.rmdir()
            continue
        return group
    raise Unavailable(f"no control group can be made below {top}: {'; '.join(reasons)}")


def _own(controller: str) -> str:
    """The group of this process in a hierarchy; version 2 has no name."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    raise Unavailable(f"this process is in no group of the controller {controller or 'hierarchy'}")


def _remove(group: Path) -> None:
    """A group can be removed a moment after its last process ended."""
    for _ in range(TRIES):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
    group.rmdir()
