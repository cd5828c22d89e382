"""What the kernel says of a process in /proc."""

from __future__ import annotations

import os
from pathlib import Path


def read_status(pid: int, key: str) -> str:
    """The first word of a line of its status, such as VmRSS or Threads."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{key}:")).split()[1]


def cpu_seconds(pid: int) -> float:
    """What it has used of a processor so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
