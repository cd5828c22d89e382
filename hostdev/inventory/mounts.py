"""What the host has mounted and swaps to, by the device it lies on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from hostdev.inventory.host import Host
from hostdev.inventory.machine import Sign
from hostdev.inventory.opennodes import is_hosts_proc

HOST = "proc/1/mountinfo"
OURS = "proc/self/mountinfo"
"""All that can be read without privileges, and in a container not the host's."""
SWAPS = "proc/swaps"
ZFS = "zfs"
_DEV = "/dev/"
_ESCAPE = re.compile(r"\\([0-7]{3})")
_LOOK = "look again as root on the node itself"


class Mount(NamedTuple):
    """A line of mountinfo."""

    number: str
    root: str
    point: str
    kind: str
    sources: tuple[str, ...]
    """Devices below /dev, several where a file system lies on several."""
    source: str
    file: str
    line: str

    @property
    def sign(self) -> Sign:
        """The mount as what tells of a use."""
        return Sign(f"mounted at {self.point}", f"/{self.file}", self.line)


class Mounts:
    """The mounts of process 1 and, where they are others, of this process."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @cached_property
    def all(self) -> tuple[Mount, ...]:
        """Every mount that can be seen."""
        # Where neither can be read, the first one's reason is told.
        host, ours = (self._host.text(path, quiet=True) or "" for path in (HOST, OURS))
        if not host and not ours:
            host = self._host.text(HOST) or ""
        lines = dict.fromkeys((HOST, line) for line in host.splitlines())
        seen = {(mount.number, mount.root, mount.point) for mount in _read(lines)}
        own = (mount for mount in _read((OURS, line) for line in ours.splitlines()))
        return (*_read(lines), *(m for m in own if (m.number, m.root, m.point) not in seen))

    @cached_property
    def doubt(self) -> Sign | None:
        """Why there may be mounts that are not seen; None where those of the host are."""
        if any(mount.file == HOST for mount in self.all) and is_hosts_proc(self._host):
            return None
        return Sign("the mounts of the host are not to be seen from here", f"/{HOST}", look=_LOOK)

    @cached_property
    def by_number(self) -> dict[str, list[Mount]]:
        """Mounts by `major:minor`."""
        found: dict[str, list[Mount]] = {}
        for mount in self.all:
            found.setdefault(mount.number, []).append(mount)
        return found

    @cached_property
    def by_source(self) -> dict[str, list[Mount]]:
        """Mounts by each of their devices, as named below /dev: btrfs and others mount under a made-up number."""
        found: dict[str, list[Mount]] = {}
        for mount in self.all:
            for source in mount.sources:
                found.setdefault(source, []).append(mount)
        return found

    def elsewhere(self, number: str) -> Iterator[Mount]:
        """Where a device is mounted in the mount namespaces of other processes."""
        for mount in self._elsewhere:
            if mount.number == number:
                yield mount._replace(point=f"{mount.point}, in another mount namespace")

    @cached_property
    def _elsewhere(self) -> tuple[Mount, ...]:
        """The mounts of one process of each other namespace."""
        found: dict[str, str] = {}
        for pid in filter(str.isdecimal, self._host.names("proc") or ()):
            found.setdefault(self._host.link(f"proc/{pid}/ns/mnt") or "", f"proc/{pid}/mountinfo")
        texts = ((file, self._host.text(file, quiet=True) or "") for file in found.values())
        return tuple(_read((file, line) for file, text in texts for line in text.splitlines()))

    @cached_property
    def root(self) -> Mount | None:
        """What is mounted at /, the uppermost."""
        return next((mount for mount in reversed(self.all) if mount.point == "/"), None)

    def beneath(self, path: str) -> Mount | None:
        """The mount that a file of the host lies on."""
        # Of mounts over each other the last is what is seen.
        over = [mount for mount in reversed(self.all) if f"{path}/".startswith(f"{mount.point.rstrip('/')}/")]
        return max(over, key=lambda mount: len(mount.point), default=None)

    @cached_property
    def swaps(self) -> dict[str, Sign]:
        """Devices below /dev, and files, that hold swap."""
        lines = (self._host.text(SWAPS) or "").splitlines()[1:]
        names = (re.split(r"[ \t]", line, maxsplit=1)[0] for line in lines)
        return {
            _plain(name).removeprefix(_DEV): Sign("swap", f"/{SWAPS}", line)
            for name, line in zip(names, lines, strict=True)
        }

    @cached_property
    def swaps_doubt(self) -> Sign | None:
        """Why there may be swap that is not seen."""
        # A kernel without swap has no such file.
        readable = self._host.text(SWAPS) is not None or (is_hosts_proc(self._host) and not self._host.was_told(SWAPS))
        return None if readable else Sign("swap is not to be seen from here", f"/{SWAPS}", look=_LOOK)


def shortest(mounts: list[Mount]) -> list[Mount]:
    """Where a file system is mounted as a whole; of mounts of its parts, as pods have by the hundred, the shortest."""
    whole = {mount.point: mount for mount in mounts if mount.root == "/"}
    if whole:
        return [whole[point] for point in sorted(whole)]
    return sorted(mounts, key=lambda mount: (len(mount.point), mount.point))[:1]


def _read(lines: Iterable[tuple[str, str]]) -> Iterator[Mount]:
    for file, line in lines:
        fields, _, rest = line.partition(" - ")
        parts, kind = fields.split(" "), rest.split(" ")
        if len(parts) > 4 and len(kind) > 1:
            source = _plain(kind[1])
            devices = tuple(part.removeprefix(_DEV) for part in source.split(":") if part.startswith(_DEV))
            yield Mount(parts[2], _plain(parts[3]), _plain(parts[4]), kind[0], devices, source, file, line)


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
