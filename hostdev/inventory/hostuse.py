"""What the host has mounted, swaps to and routes through, by the device it lies on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hostdev.inventory.host import Host

_HOST = "proc/1/mountinfo"
_OURS = "proc/self/mountinfo"
"""All that can be read without privileges, and in a container not the host's."""
_DEV = "/dev/"
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class _Mount:
    device: str
    root: str
    point: str
    source: str


@dataclass(frozen=True, slots=True)
class Mounts:
    """Mount points by `major:minor` and by name below /dev; names of devices that hold swap."""

    by_number: Mapping[str, tuple[str, ...]]
    by_name: Mapping[str, tuple[str, ...]]
    swaps: frozenset[str]

    def of(self, name: str, number: str | None, *aliases: str) -> tuple[str, ...]:
        """What the host does with one block device that has these names."""
        names = (name, *aliases)
        points = self.by_number.get(number or "", ())
        # btrfs and others mount under a made-up number; their source tells.
        points = points or next((self.by_name[alias] for alias in names if alias in self.by_name), ())
        swap = ("swap",) if self.swaps.intersection(names) else ()
        return (*(f"mounted at {point}" for point in points), *swap)


def read_mounts(host: Host) -> Mounts:
    """Mounts and swap of the host, or of the container we are in."""
    by_number: dict[str, list[_Mount]] = {}
    by_name: dict[str, list[_Mount]] = {}
    for mount in _mounts(host):
        by_number.setdefault(mount.device, []).append(mount)
        if mount.source.startswith(_DEV):
            by_name.setdefault(mount.source.removeprefix(_DEV), []).append(mount)
    return Mounts(
        {number: _points(mounts) for number, mounts in by_number.items()},
        {name: _points(mounts) for name, mounts in by_name.items()},
        frozenset(_swaps(host)),
    )


def _mounts(host: Host) -> Iterator[_Mount]:
    # Where neither can be read, the first one's reason is told.
    text = host.text(_HOST, quiet=True) or host.text(_OURS) or host.text(_HOST) or ""
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        parts, kind = fields.split(" "), rest.split(" ")
        if len(parts) > 4 and len(kind) > 1:
            yield _Mount(parts[2], _plain(parts[3]), _plain(parts[4]), _plain(kind[1]))


def _points(mounts: list[_Mount]) -> tuple[str, ...]:
    """Where a file system is mounted as a whole; of mounts of its parts, as pods have by the hundred, the shortest."""
    whole = sorted({mount.point for mount in mounts if mount.root == "/"})
    return tuple(whole or sorted({mount.point for mount in mounts}, key=lambda point: (len(point), point))[:1])


def _swaps(host: Host) -> Iterator[str]:
    for line in (host.text("proc/swaps") or "").splitlines()[1:]:
        name = line.split(" ", 1)[0].split("\t", 1)[0]
        if name.startswith(_DEV):
            yield _plain(name).removeprefix(_DEV)


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


DEFAULT = "default route"
OTHER = "routes"

_REJECT = 0x0200
_LOOPBACK = "lo"
_LOCAL = ("fe80", "ff")
"""Link-local and multicast: every interface that is up has them."""


def read_routes(host: Host) -> dict[str, str]:
    """Interface by interface: whether a default route leaves through it, or other ones."""
    kinds: dict[str, str] = {}
    for name, kind in (*_ipv4(host), *_ipv6(host)):
        if kinds.get(name) != DEFAULT:
            kinds[name] = kind
    return kinds


def _ipv4(host: Host) -> Iterator[tuple[str, str]]:
    for line in (host.text("proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and not _rejects(fields[3]):
            yield fields[0], DEFAULT if set(fields[1] + fields[7]) == {"0"} else OTHER


def _ipv6(host: Host) -> Iterator[tuple[str, str]]:
    for line in (host.text("proc/net/ipv6_route") or "").splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[9] == _LOOPBACK or _rejects(fields[8]) or fields[0].startswith(_LOCAL):
            continue
        yield fields[9], DEFAULT if set(fields[0] + fields[1]) == {"0"} else OTHER


def _rejects(flags: str) -> bool:
    try:
        return bool(int(flags, 16) & _REJECT)
    except ValueError:
        return True
