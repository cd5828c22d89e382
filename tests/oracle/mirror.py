"""The Debian mirror that this machine's apt uses, and what apt has been told about reaching it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_RELEASE_FILE = re.compile(r"^'(?P<uri>[^']+?)/+dists/(?P<suite>[^'/]+)/(?:In)?Release'", re.MULTILINE)
_DEBIAN_SUITES = frozenset(
    {"oldoldstable", "oldstable", "stable", "testing", "unstable", "bullseye", "bookworm", "trixie", "forky", "sid"}
)
_NETWORK_OPTION = re.compile(r"Acquire::(?:Check-|https?::|Retries|ForceIPv)")


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where packages come from; `options` are lines of apt.conf (proxies, checks of dates)."""

    uri: str
    options: tuple[str, ...] = ()


def mirror() -> Mirror | None:
    """The first Debian archive in apt's configuration. Nothing is fetched: apt only says what an update would read."""
    if shutil.which("apt-get") is None:
        return None
    found = first_debian(_said("apt-get", "--print-uris", "update"))
    if found is None:
        return None
    settings = _said("apt-config", "dump", "--format", '%f "%v";%n', "Acquire")
    return Mirror(found, tuple(line for line in settings.splitlines() if _NETWORK_OPTION.match(line)))


def first_debian(uris: str) -> str | None:
    """The archive among the files of an update that carries a Debian suite, and not its security updates."""
    for match in _RELEASE_FILE.finditer(uris):
        if match["suite"] in _DEBIAN_SUITES:
            return match["uri"]
    return None


def _said(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout
