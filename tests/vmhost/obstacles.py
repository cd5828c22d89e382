"""Why the passthrough host cannot be built or booted on this machine, as sentences for whoever runs the tests."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.vmhost import cache, recipe

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
BOOT_MEMORY_MIB = 3072 + 512
BUILD_DISK_MIB = 2048
MIB = 1 << 20

TOOLS_TO_BOOT: Mapping[str, str] = {"unshare": "util-linux", "setpriv": "util-linux", "chroot": "coreutils"}
TOOLS_TO_BUILD: Mapping[str, str] = {"apt-get": "apt", "mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"}


def to_boot() -> str | None:
    """The first reason why a built host cannot be booted, None where it can."""
    if platform.machine() != "x86_64":
        return f"the host's programs are for x86_64, this machine is {platform.machine()}"
    if os.geteuid() != 0:
        return "chroot and mount namespaces need root"
    if missing := _missing(TOOLS_TO_BOOT):
        return missing
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        return "no mount namespace can be made here (CAP_SYS_ADMIN is missing)"
    available = memory_available_mib()
    if available < BOOT_MEMORY_MIB:
        return f"{available} MiB of memory are free, the host needs {BOOT_MEMORY_MIB} MiB"
    return None


def to_build() -> str | None:
    """The first reason why the host cannot be built, None where it can."""
    if missing := _missing(TOOLS_TO_BUILD):
        return missing
    if not KEYRING.exists():
        return f"{KEYRING} is not there: apt-get install debian-archive-keyring"
    existing = next(path for path in (cache.home(), *cache.home().parents) if path.exists())
    free = shutil.disk_usage(existing).free // MIB
    if free < BUILD_DISK_MIB:
        return f"{free} MiB are free below {existing}, the build needs {BUILD_DISK_MIB} MiB"
    uri = mirror()
    if uri is None:
        return "apt knows no Debian mirror on this machine (or has no lists yet: apt-get update)"
    return None if _serves_suite(uri) else f"apt's Debian mirror {uri} does not answer for {recipe.SUITE}"


def mirror() -> str | None:
    """The Debian archive that this machine's apt is configured with."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"],
        check=False,
        capture_output=True,
        text=True,
    )
    found = re.search(r"^Debian Debian (\S+)$", targets.stdout, re.MULTILINE)
    return found[1] if found else None


def memory_available_mib() -> int:
    """What the kernel says can be used without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def _serves_suite(uri: str) -> bool:
    release = f"{uri.rstrip('/')}/dists/{recipe.SUITE}/InRelease"
    with tempfile.TemporaryDirectory() as directory:
        command = ["/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=1", "download-file", release, f"{directory}/release"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _missing(tools: Mapping[str, str]) -> str | None:
    for tool, package in tools.items():
        if shutil.which(tool) is None:
            return f"{tool} is not installed: apt-get install {package}"
    return None
