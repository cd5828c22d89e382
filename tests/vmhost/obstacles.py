"""Why the passthrough host cannot be built or booted on this machine, as sentences for whoever runs the tests."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.oracle.cache import cache_dir
from tests.oracle.mirror import KEYRING, mirror

BOOT_MEMORY_MIB = 3584
MIB = 1 << 20

TOOLS_TO_BOOT: Mapping[str, str] = {"unshare": "util-linux", "setpriv": "util-linux", "chroot": "coreutils"}
TOOLS_TO_BUILD: Mapping[str, str] = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"}


def to_boot() -> str | None:
    """The first reason why a built host cannot be booted, None where it can."""
    if platform.machine() != "x86_64":
        return f"the host's programs are for x86_64, this machine is {platform.machine()}"
    if os.geteuid() != 0:
        return "chroot and mount need root, and this is an ordinary user"
    if missing := _missing(TOOLS_TO_BOOT):
        return missing
    tried = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True, text=True)
    if tried.returncode:
        return f"no mount namespace can be made here: {tried.stderr.strip()}"
    available = _memory_available()
    if available < BOOT_MEMORY_MIB:
        return f"{available} MiB of memory are free, the host needs {BOOT_MEMORY_MIB} MiB"
    return None


def to_build(*, disk_mib: int) -> str | None:
    """The first reason why nothing of that size can be built, None where it can."""
    if missing := _missing(TOOLS_TO_BUILD):
        return missing
    if not KEYRING.exists():
        return f"{KEYRING} is missing: apt-get install debian-archive-keyring"
    existing = next(path for path in cache_dir().parents if path.exists())
    free = shutil.disk_usage(existing).free // MIB
    if free < disk_mib:
        return f"{free} MiB are free below {existing}, the build needs {disk_mib} MiB"
    return None if mirror() else "apt is not configured with a Debian mirror on this machine"


def boots_in_memory() -> int:
    """How many hosts at a time this machine has memory for."""
    return _memory_available() // BOOT_MEMORY_MIB


def _memory_available() -> int:
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def _missing(tools: Mapping[str, str]) -> str | None:
    for tool, package in tools.items():
        if shutil.which(tool) is None:
            return f"{tool} is not installed: apt-get install {package}"
    return None
