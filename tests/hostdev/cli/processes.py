"""Processes of a recorded machine, and the device that they hold."""

from __future__ import annotations

from pathlib import Path

ADDRESS = "0000:3b:02.1"


def add_process(
    root: Path, pid: int, *command: str, files: tuple[str, ...] = (), cgroup: str = "0::/init.scope"
) -> None:
    """A process as /proc shows it."""
    place = root / f"proc/{pid}"
    (place / "fd").mkdir(parents=True, exist_ok=True)
    (place / "cmdline").write_bytes(b"".join(f"{word}\0".encode() for word in command))
    (place / "cgroup").write_text(f"{cgroup}\n")
    (place / "comm").write_text(f"{command[0][:15]}\n")
    for number, target in enumerate(files):
        (place / f"fd/{number}").symlink_to(target)
