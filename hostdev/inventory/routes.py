"""Which network interfaces carry the host's routes."""

from __future__ import annotations

from collections.abc import Iterator

from hostdev.host import Host

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
